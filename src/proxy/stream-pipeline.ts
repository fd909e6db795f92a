import { ConfigError } from '../model/errors.ts';
import type { Handlers, MaybePromise, Outcome } from '../plugin/define-plugin.ts';
import type { ConnectionView } from '../plugin/exchange.ts';
import type { Kit } from '../plugin/kit.ts';
import type { Binding } from './binding.ts';

interface Bound {
  readonly handlers: Handlers;
  readonly filter: ((connection: ConnectionView) => boolean) | null;
}

/** What the Bindings of one stream route do with a connection. */
export class StreamPipeline {
  readonly metrics: boolean;
  readonly preferName: boolean;
  readonly #bound: readonly Bound[];

  /** Throws a ConfigError for a Plugin that can't work on connections: to leave out what a Service asks for would open it. */
  constructor(bindings: readonly { readonly binding: Binding; readonly kit: Kit }[]) {
    for (const { plugin, place } of bindings.map(({ binding }) => binding)) {
      if (plugin.streams === true) continue;
      throw new ConfigError(
        `plugin [${plugin.name}] of ${place.kind}/${place.id} works on HTTP requests, not on stream routes`,
      );
    }
    const observed = bindings.map(({ binding }) => binding.plugin.observe?.(binding.config as never));
    this.metrics = observed.some((observation) => observation?.metrics === true);
    this.preferName = observed.some((observation) => observation?.preferName === true);
    this.#bound = bindings.map(({ binding, kit }) => {
      const { filter } = binding.meta;
      return {
        handlers: binding.plugin.create(binding.config as never, kit),
        filter: filter === undefined || filter.length === 0 ? null : kit.expression(filter),
      };
    });
  }

  /** A Reply when the connection must not be served. */
  connect(connection: ConnectionView): MaybePromise<Outcome> {
    return this.#connectFrom(0, connection);
  }

  #connectFrom(start: number, connection: ConnectionView): MaybePromise<Outcome> {
    for (let index = start; index < this.#bound.length; index++) {
      const { handlers, filter } = this.#bound[index];
      if (filter?.(connection) === false) continue;
      const outcome = handlers.connect?.(connection);
      if (outcome instanceof Promise) {
        return outcome.then((settled) => settled || this.#connectFrom(index + 1, connection));
      }
      if (outcome) return outcome;
    }
    return undefined;
  }

  disconnect(connection: ConnectionView): void {
    for (const { handlers } of this.#bound) handlers.disconnect?.(connection);
  }

  dispose(): void {
    for (const { handlers } of this.#bound) handlers.dispose?.();
  }
}
