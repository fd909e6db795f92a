import { consumers } from './consumer.ts';
import { consumerGroups } from './consumer-group.ts';
import { credentials } from './credential.ts';
import type { ResourceDefinition } from './define-resource.ts';
import { globalRules } from './global-rule.ts';
import { pluginConfigs } from './plugin-config.ts';
import { pluginMetadatas } from './plugin-metadata.ts';
import { protos } from './proto.ts';
import type { Kind } from './resource.ts';
import { routes } from './route.ts';
import { secrets } from './secret.ts';
import { services } from './service.ts';
import { ssls } from './ssl.ts';
import { streamRoutes } from './stream-route.ts';
import { upstreams } from './upstream.ts';

/** Every kind of resource. A new one is a file of its own and a line here. */
export const resources: Readonly<Record<Kind, ResourceDefinition>> = {
  routes,
  services,
  upstreams,
  consumers,
  credentials,
  consumer_groups: consumerGroups,
  plugin_configs: pluginConfigs,
  global_rules: globalRules,
  ssls,
  protos,
  secrets,
  plugin_metadata: pluginMetadatas,
  stream_routes: streamRoutes,
};
