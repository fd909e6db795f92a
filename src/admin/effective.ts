import type { Binding } from '../model/binding.ts';
import type { Configuration } from '../model/configuration.ts';
import { KEY_NOT_FOUND } from '../model/failure.ts';
import {
  type BindingSources,
  bindingsOf,
  isEnabled,
  mergeBindings,
  orderBindings,
} from '../model/precedence.ts';
import type { Kind, Resource, Value } from '../model/resource.ts';
import type { AdminReply } from './admin-reply.ts';

/**
 * `GET /routes/{id}/effective[?consumer=…]`: the Bindings that hold on a Route, in the order in
 * which they run, each with the place it came from. Global rules run separately and first.
 */
export function effective(
  configuration: Configuration,
  routeId: string,
  username: string | null,
): AdminReply {
  const find = (kind: Kind, id: unknown) =>
    id === undefined ? undefined : configuration.snapshot.get(kind, String(id));
  const route = find('routes', routeId);
  const consumer = username === null ? undefined : find('consumers', username);
  if (route === undefined || (username !== null && consumer === undefined)) {
    return { status: 404, body: KEY_NOT_FOUND.body, versioned: true };
  }
  const sources: BindingSources = shownSources(configuration, {
    consumer,
    consumerGroup: find('consumer_groups', consumer?.value.group_id),
    route,
    pluginConfig: find('plugin_configs', route.value.plugin_config_id),
    service: find('services', route.value.service_id),
  });
  const merged = mergeBindings(sources, (plugin) => configuration.plugins.isCredential(plugin, 'consumer'));
  const global = [...configuration.snapshot.list('global_rules')]
    .flatMap((rule) => bindingsOf({ ...rule, value: configuration.shown(rule) }))
    .filter(isEnabled);
  const body = {
    route: routeId,
    revision: configuration.revision,
    ...(username !== null && { consumer: username }),
    global_rules: inOrder(configuration, global),
    bindings: inOrder(configuration, merged),
  };
  return { status: 200, body, versioned: true };
}

/** The same resources with their secrets sealed. */
function shownSources(configuration: Configuration, sources: BindingSources): BindingSources {
  return Object.fromEntries(
    Object.entries(sources as Record<string, Resource | undefined>)
      .filter(([, resource]) => resource !== undefined)
      .map(([name, resource]) => [name, { ...resource!, value: configuration.shown(resource!) }]),
  );
}

function inOrder({ plugins }: Configuration, bindings: readonly Binding[]): Value[] {
  const priority = (plugin: string) => plugins.get(plugin)?.priority ?? 0;
  return orderBindings(bindings, priority).map(({ plugin, place, config }) => ({
    plugin,
    priority: (config._meta as { readonly priority?: number } | undefined)?.priority ?? priority(plugin),
    place,
    config,
  }));
}
