import { isObject, type JsonObject } from '../lib/json.ts';
import type { Binding, BindingPlace } from './binding.ts';
import type { Resource } from './resource.ts';

/** The resources whose Bindings meet on one request. */
export interface BindingSources {
  readonly consumer?: Resource;
  readonly consumerGroup?: Resource;
  readonly route?: Resource;
  readonly pluginConfig?: Resource;
  readonly service?: Resource;
}

/** Who wins where the same Plugin is bound twice, strongest first. */
const PRECEDENCE = ['consumer', 'consumerGroup', 'route', 'pluginConfig', 'service'] as const;

/** One for each Plugin from places in order of precedence, strongest first: the first that has it. */
export function strongest<B>(places: readonly (readonly B[])[], pluginOf: (binding: B) => string): B[] {
  const merged = new Map<string, B>();
  for (const bindings of places) {
    for (const binding of bindings) {
      const plugin = pluginOf(binding);
      if (!merged.has(plugin)) merged.set(plugin, binding);
    }
  }
  return [...merged.values()];
}

/** Orders Bindings within a phase: the higher priority first, then by the Plugin's name. */
export function byRank(
  left: { readonly priority: number; readonly plugin: string },
  right: { readonly priority: number; readonly plugin: string },
): number {
  return (
    right.priority - left.priority || (left.plugin < right.plugin ? -1 : left.plugin > right.plugin ? 1 : 0)
  );
}

/**
 * The Bindings that hold where these resources meet: one for each Plugin, from the strongest place
 * that has it. One disabled by `_meta.disable` is left out, and hides weaker ones too.
 *
 * `isCredential` says whether a Plugin's config on a Consumer is a credential, which is no Binding.
 */
export function mergeBindings(sources: BindingSources, isCredential: (plugin: string) => boolean): Binding[] {
  const places = PRECEDENCE.map((source) => {
    const resource = sources[source];
    if (resource === undefined) return [];
    const own = bindingsOf(resource);
    return source === 'consumer' ? own.filter(({ plugin }) => !isCredential(plugin)) : own;
  });
  return strongest(places, ({ plugin }) => plugin).filter(isEnabled);
}

/** A resource's own Bindings, disabled ones included. */
export function bindingsOf({ kind, id, value }: Resource): Binding[] {
  if (!isObject(value.plugins)) return [];
  const place = { kind, id } as BindingPlace;
  return Object.entries(value.plugins).map(([plugin, config]) => ({
    plugin,
    place,
    // An empty array is how some clients write an empty object.
    config: isObject(config) ? config : {},
  }));
}

export function isEnabled({ config }: Binding): boolean {
  return (config._meta as JsonObject | undefined)?.disable !== true;
}

/** The order in which Bindings run within a phase: by `_meta.priority`, else the Plugin's own; higher first, then by name. */
export function orderBindings(bindings: readonly Binding[], priority: (plugin: string) => number): Binding[] {
  const rank = ({ plugin, config }: Binding) => {
    const own = (config._meta as JsonObject | undefined)?.priority;
    return typeof own === 'number' ? own : priority(plugin);
  };
  return bindings.toSorted((left, right) =>
    byRank({ plugin: left.plugin, priority: rank(left) }, { plugin: right.plugin, priority: rank(right) }),
  );
}
