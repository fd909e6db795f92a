import { byRank, strongest } from '../model/precedence.ts';
import type { Value } from '../model/resource.ts';
import type { Handlers, Plugin } from '../plugin/define-plugin.ts';
import type { Kit, Place } from '../plugin/kit.ts';
import { dropReply, type Reply } from '../plugin/reply.ts';
import type { Exchange } from './exchange.ts';

/** `_meta`, which every Plugin's config may carry. */
export interface BindingMeta {
  readonly disable?: boolean;
  readonly priority?: number;
  readonly filter?: readonly unknown[];
  readonly error_response?: string | Readonly<Record<string, unknown>>;
}

/** One configured use of a Plugin at one place. Frozen. */
export interface Binding {
  readonly plugin: Plugin;
  /** Defaults filled in, secrets plain. */
  readonly config: Value;
  readonly meta: BindingMeta;
  readonly priority: number;
  readonly place: Place;
}

/** No Bindings: one array for all, so that it works as a key. */
export const NO_BINDINGS: readonly Binding[] = Object.freeze([]);

/** The Bindings that hold where these places meet, strongest given first, in the order in which they run. */
export function mergeBindings(...places: readonly (readonly Binding[])[]): Binding[] {
  return strongest(places, ({ plugin }) => plugin.name)
    .filter(({ meta }) => meta.disable !== true)
    .sort(byPriority);
}

export function byPriority(left: Binding, right: Binding): number {
  return byRank(
    { plugin: left.plugin.name, priority: left.priority },
    { plugin: right.plugin.name, priority: right.priority },
  );
}

/** A Binding with its handlers, ready to run. */
export interface Bound {
  readonly binding: Binding;
  readonly handlers: Handlers;
  /** Whether `_meta.filter` lets this Exchange through; null when there is none. */
  readonly filter: ((exchange: Exchange) => boolean) | null;
}

/** Makes a Binding's handlers. */
export function bind(binding: Binding, kit: Kit): Bound {
  const handlers = binding.plugin.create(binding.config as never, kit);
  const { filter } = binding.meta;
  if (filter === undefined || filter.length === 0) return { binding, handlers, filter: null };
  const accepts = kit.expression(filter);
  // Judged once per Exchange: a Binding that began must also end (limit-conn).
  const verdicts = new WeakMap<Exchange, { started: number; passes: boolean }>();
  return {
    binding,
    handlers,
    filter(exchange) {
      const known = verdicts.get(exchange);
      if (known !== undefined && known.started === exchange.started) return known.passes;
      const passes = accepts(exchange);
      verdicts.set(exchange, { started: exchange.started, passes });
      return passes;
    },
  };
}

/** Puts `_meta.error_response` in the place of a denial's body. */
export function withErrorResponse(reply: Reply, meta: BindingMeta): Reply {
  const { error_response: body } = meta;
  if (body === undefined || reply.status < 400) return reply;
  dropReply(reply);
  return { ...reply, body: typeof body === 'string' ? body : `${JSON.stringify(body)}\n` };
}
