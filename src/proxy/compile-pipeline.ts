import type { Consumer } from '../plugin/consumer.ts';
import type { Handlers, MaybePromise, Outcome } from '../plugin/define-plugin.ts';
import type { Kit } from '../plugin/kit.ts';
import { reply } from '../plugin/reply.ts';
import {
  type Binding,
  type Bound,
  bind,
  byPriority,
  mergeBindings,
  NO_BINDINGS,
  withErrorResponse,
} from './binding.ts';
import type { Exchange } from './exchange.ts';
import type { Pipeline, SecondHalf, Step } from './pipeline.ts';

/** What compiling needs to know of its thread. */
export interface PipelineSurroundings {
  kitFor(binding: Binding, routeKey: string): Kit;
  /** Bindings of the Consumer and its group, merged; NO_BINDINGS or the same frozen array as long as nothing changed. */
  consumerBindings(consumer: Consumer): readonly Binding[];
}

export interface PipelineSource {
  /** Names the Route in the keys of state. */
  readonly key: string;
  readonly globalRules: readonly (readonly Binding[])[];
  readonly service: readonly Binding[];
  readonly pluginConfig: readonly Binding[];
  readonly route: readonly Binding[];
}

type Phase = 'rewrite' | 'access';
type AfterPhase = 'beforeProxy' | 'responseHeaders' | 'responseBody' | 'log';

/** Compiles the chain of one Route. All Routes without Bindings have the same one. */
export function compilePipeline(source: PipelineSource, surroundings: PipelineSurroundings): Pipeline {
  const { globalRules, service, pluginConfig, route } = source;
  if (globalRules.length + service.length + pluginConfig.length + route.length === 0) return BARE;
  const bound: Bound[] = [];
  const make = (binding: Binding): Bound => {
    const made = bind(binding, surroundings.kitFor(binding, source.key));
    bound.push(made);
    return made;
  };
  const globals = source.globalRules.map((rule) => mergeBindings(rule).map(make));
  const own = mergeBindings(source.route, source.pluginConfig, source.service).map(make);

  const first = [
    ...globals.flatMap((rule) => [...steps(rule, 'rewrite'), ...steps(rule, 'access')]),
    ...steps(own, 'rewrite'),
  ];
  const everyGlobal = globals.flat();
  const second = secondHalf(everyGlobal, own, []);
  const authenticating = own.filter(({ binding }) => binding.plugin.credential !== undefined);
  const cache = new WeakMap<readonly Binding[], SecondHalf>();

  return {
    first: first.length > 0 ? first : null,
    authenticates: authenticating.length > 0 ? requirement(authenticating) : null,
    second,
    secondFor(consumer) {
      const theirs = surroundings.consumerBindings(consumer);
      if (theirs === NO_BINDINGS) return second;
      let half = cache.get(theirs);
      if (half === undefined) {
        const fresh = new Map(theirs.map((binding) => [binding.plugin.name, make(binding)]));
        const kept = own.filter(({ binding }) => !fresh.has(binding.plugin.name));
        const merged = [...kept, ...fresh.values()]
          .filter(({ binding }) => binding.meta.disable !== true)
          .sort((a, b) => byPriority(a.binding, b.binding));
        const joined = merged.filter((one) => fresh.get(one.binding.plugin.name) === one);
        half = secondHalf(everyGlobal, merged, joined);
        cache.set(theirs, half);
      }
      return half;
    },
    dispose() {
      for (const { handlers } of bound) handlers.dispose?.();
    },
  };
}

const NOTHING = secondHalf([], [], []);
const BARE: Pipeline = {
  first: null,
  authenticates: null,
  second: NOTHING,
  secondFor: () => NOTHING,
  dispose() {},
};

/** Whether an Exchange must have a Consumer: unless every auth Binding's filter lets it by. */
function requirement(authenticating: readonly Bound[]): (exchange: Exchange) => boolean {
  if (authenticating.some(({ filter }) => filter === null)) return () => true;
  return (exchange) => authenticating.some(({ filter }) => filter!(exchange));
}

/** `joined` are the Bindings that the Consumer brought: their rewrite handlers have not run yet. */
function secondHalf(
  globals: readonly Bound[],
  merged: readonly Bound[],
  joined: readonly Bound[],
): SecondHalf {
  const list = [...steps(joined, 'rewrite'), ...steps(merged, 'access')];
  const all = [...globals, ...merged];
  const needs = all.map(({ binding }) => binding.plugin.needsBody?.(binding.config as never));
  const observed = all.map(({ binding }) => binding.plugin.observe?.(binding.config as never));
  return {
    steps: list.length > 0 ? list : null,
    beforeProxy: after(all, 'beforeProxy'),
    responseHeaders: after(all, 'responseHeaders'),
    responseBody: after(
      all.filter((_, index) => needs[index] === 'response' || needs[index] === 'both'),
      'responseBody',
    ),
    log: after(all, 'log'),
    bindings: all.map(({ binding }) => binding),
    needsRequestBody: needs.some((need) => need === 'request' || need === 'both'),
    metrics: observed.some((observation) => observation?.metrics === true),
    preferName: observed.some((observation) => observation?.preferName === true),
  };
}

function steps(list: readonly Bound[], phase: Phase): Step[] {
  const result: Step[] = [];
  for (const { binding, handlers, filter } of list) {
    const handler = handlers[phase] as ((exchange: Exchange) => MaybePromise<Outcome>) | undefined;
    if (handler === undefined) continue;
    let run = handler.bind(handlers);
    if (binding.meta.error_response !== undefined) run = replacingErrors(run, binding);
    if (filter !== null) run = onlyIf(filter, run);
    result.push({
      plugin: binding.plugin.name,
      place: placeOf(binding),
      phase,
      binding,
      filter,
      run,
    });
  }
  return result;
}

function replacingErrors(run: Step['run'], { meta }: Binding): Step['run'] {
  const replace = (outcome: Outcome): Outcome => (outcome ? withErrorResponse(outcome, meta) : undefined);
  return (exchange) => {
    const outcome = run(exchange);
    return outcome instanceof Promise ? outcome.then(replace) : replace(outcome);
  };
}

function onlyIf(filter: (exchange: Exchange) => boolean, run: Step['run']): Step['run'] {
  return (exchange) => (filter(exchange) ? run(exchange) : undefined);
}

function placeOf({ place }: Binding): string {
  return `${place.kind}/${place.id}`;
}

interface AfterStep {
  readonly plugin: string;
  readonly place: string;
  readonly phase: AfterPhase;
  readonly binding: Binding;
  readonly filter: Bound['filter'];
  // The phases differ in what they may return; the lists of a SecondHalf say which.
  // biome-ignore lint/suspicious/noExplicitAny: narrowed where it is used
  readonly run: (exchange: Exchange) => any;
}

function after(list: readonly Bound[], phase: AfterPhase): AfterStep[] | null {
  const result: AfterStep[] = [];
  for (const { binding, handlers, filter } of list) {
    const handler = handlers[phase] as ((exchange: Exchange) => MaybePromise<void>) | undefined;
    if (handler === undefined) continue;
    const run = (handler as NonNullable<Handlers['log']>).bind(handlers) as (
      exchange: Exchange,
    ) => MaybePromise<void>;
    result.push({
      plugin: binding.plugin.name,
      place: placeOf(binding),
      phase,
      binding,
      filter,
      run: filter === null ? run : (exchange) => (filter(exchange) ? run(exchange) : undefined),
    });
  }
  return result.length > 0 ? result : null;
}

/** The answer of a Pipeline in which an auth Plugin is bound and nobody was recognised. */
export const UNAUTHENTICATED = reply(
  401,
  { message: 'Missing authentication' },
  { reason: 'unauthenticated' },
);
