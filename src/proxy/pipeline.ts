// The compiled chain of a Route, cut in two where identity becomes known.
//
//   first:   global rules (rewrite, then access) · the Route's rewrite — compiled once per Route
//   second:  access · beforeProxy · responses · log — once per set of Consumer-side Bindings

import type { Consumer } from '../plugin/consumer.ts';
import type { Handlers, MaybePromise, Outcome } from '../plugin/define-plugin.ts';
import type { Reply } from '../plugin/reply.ts';
import type { Binding } from './binding.ts';
import type { Exchange } from './exchange.ts';

/** What explain and trouble reports need to name a handler of a Binding. */
export interface NamedStep {
  readonly plugin: string;
  /** `kind/id` of the resource that has the Binding. */
  readonly place: string;
  readonly phase: Exclude<keyof Handlers, 'connect' | 'disconnect' | 'dispose'>;
  readonly binding: Binding;
  /** Asked by `run` already; explain wants to know its answer. */
  readonly filter: ((exchange: Exchange) => boolean) | null;
}

/** One handler of one Binding that may answer. */
export interface Step extends NamedStep {
  readonly phase: 'rewrite' | 'access';
  run(exchange: Exchange): MaybePromise<Outcome>;
}

type After<Phase extends keyof Handlers> = readonly (NamedStep & {
  readonly run: NonNullable<Handlers[Phase]> extends (...parameters: never[]) => infer R
    ? (exchange: Exchange) => R
    : never;
})[];

/** What follows once the caller is known; null where nobody takes part. */
export interface SecondHalf {
  readonly steps: readonly Step[] | null;
  readonly beforeProxy: After<'beforeProxy'> | null;
  readonly responseHeaders: After<'responseHeaders'> | null;
  readonly responseBody: After<'responseBody'> | null;
  readonly log: After<'log'> | null;
  /** All Bindings that take part, also in the first half: global rules first, then by priority. */
  readonly bindings: readonly Binding[];
  readonly needsRequestBody: boolean;
  readonly metrics: boolean;
  readonly preferName: boolean;
}

export interface Pipeline {
  readonly first: readonly Step[] | null;
  /** An auth Plugin is bound: nobody unknown gets past the first half. */
  readonly authenticates: ((exchange: Exchange) => boolean) | null;
  /** The second half for callers without Bindings of their own. */
  readonly second: SecondHalf;
  /** The second half for a Consumer. */
  secondFor(consumer: Consumer): SecondHalf;
  /** Called when the last Exchange that uses it has ended. */
  dispose(): void;
}

/** A Plugin broke its promise; the Route answers 500 and the log has the reason. */
export class PluginFailure extends Error {
  override readonly name = 'PluginFailure';
  readonly plugin: string;
  readonly place: string;
  readonly phase: string;

  constructor(step: Pick<NamedStep, 'plugin' | 'place' | 'phase'>, cause: unknown) {
    super(`plugin ${step.plugin} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
    this.plugin = step.plugin;
    this.place = step.place;
    this.phase = step.phase;
  }

  isOf(step: Pick<NamedStep, 'plugin' | 'place' | 'phase'>): boolean {
    return step.plugin === this.plugin && step.place === this.place && step.phase === this.phase;
  }
}

/**
 * Runs steps from `index` on until one replies. Synchronous as long as the handlers are; a promise
 * is returned only when one of them returned one.
 */
export function runSteps(
  steps: readonly Step[],
  exchange: Exchange,
  index = 0,
): MaybePromise<Reply | undefined> {
  for (let i = index; i < steps.length; i++) {
    let outcome: MaybePromise<Outcome>;
    try {
      outcome = steps[i].run(exchange);
    } catch (error) {
      throw new PluginFailure(steps[i], error);
    }
    if (outcome === undefined) continue;
    if (outcome instanceof Promise) return resumeSteps(steps, exchange, i, outcome);
    return outcome;
  }
  return undefined;
}

async function resumeSteps(
  steps: readonly Step[],
  exchange: Exchange,
  index: number,
  pending: Promise<Outcome>,
): Promise<Reply | undefined> {
  let outcome: Outcome;
  try {
    outcome = await pending;
  } catch (error) {
    throw new PluginFailure(steps[index], error);
  }
  if (outcome !== undefined) return outcome;
  return runSteps(steps, exchange, index + 1);
}
