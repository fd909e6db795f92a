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

/**
 * The Bindings that hold where these resources meet: one for each Plugin, from the strongest place
 * that has it. One disabled by `_meta.disable` is left out, and hides weaker ones too.
 *
 * `isCredential` says whether a Plugin's config on a Consumer is a credential, which is no Binding.
 */
export function mergeBindings(sources: BindingSources, isCredential: (plugin: string) => boolean): Binding[] {
  const merged = new Map<string, Binding>();
  for (const source of PRECEDENCE) {
    const resource = sources[source];
    if (resource === undefined) continue;
    for (const binding of bindingsOf(resource)) {
      if (source === 'consumer' && isCredential(binding.plugin)) continue;
      if (!merged.has(binding.plugin)) merged.set(binding.plugin, binding);
    }
  }
  return [...merged.values()].filter(isEnabled);
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
  return bindings.toSorted(
    (left, right) =>
      rank(right) - rank(left) || (left.plugin < right.plugin ? -1 : left.plugin > right.plugin ? 1 : 0),
  );
}
