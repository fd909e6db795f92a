// What the compiler accepts and refuses in a configuration; checked by `tsc --noEmit`, never run.
import { type Config, defineConfig } from 'sluice';

const upstream = { nodes: { '127.0.0.1:1980': 1 } };

declare module 'sluice' {
  interface PluginConfigs {
    'office-hours': { readonly from?: number; readonly to?: number };
  }
}

/** All kinds of things that are right. */
defineConfig({
  listeners: [{ address: '127.0.0.1:9080' }],
  admin: { enabled: true, keys: [{ name: 'ci', key: 'secret', role: 'viewer' }] },
  client: { header_timeout: 5 },
  access_log: { path: 'off' },
  plugins: ['./office-hours.ts'],
  upstreams: [
    { id: 'first', type: 'chash', key: 'uri', nodes: [{ host: 'a', port: 80, weight: 1 }] },
    { id: 2, nodes: { 'b:80': 1 }, checks: { active: { http_path: '/health' } } },
    { id: '3', service_name: 'c', discovery_type: 'dns' },
  ],
  services: [{ id: 'orders', upstream_id: 'first' }],
  plugin_configs: [{ id: 'limits', plugins: { 'limit-count': { count: 2, time_window: 60 } } }],
  consumer_groups: [{ id: 'gold', plugins: {} }],
  global_rules: [{ id: 'all', plugins: { prometheus: {} } }],
  consumers: [
    {
      username: 'jack',
      group_id: 'gold',
      plugins: { 'key-auth': { key: 'one' }, 'limit-count': { count: 1, time_window: 1 } },
      credentials: [{ id: 'second', plugins: { 'key-auth': { key: 'two' } } }],
    },
  ],
  routes: [
    { id: 'a', uri: '/a', service_id: 'orders', plugin_config_id: 'limits' },
    { id: 'b', uris: ['/b'], methods: ['GET'], upstream_id: 2 },
    { id: 'c', uri: '/c', upstream_id: '2' },
    { id: 'd', uri: '/d', upstream_id: 3 },
    { id: 'e', uri: '/e', upstream, plugins: { 'office-hours': { from: 8 } } },
    {
      id: 'f',
      uri: '/f',
      upstream_id: 'first',
      plugins: {
        'key-auth': { _meta: { disable: true } },
        'traffic-split': { rules: [{ weighted_upstreams: [{ upstream_id: 'first', weight: 2 }] }] },
      },
    },
  ],
  secrets: [{ id: 'vault/1', uri: 'http://a', prefix: 'kv', token: 'x' }],
  plugin_metadata: [{ id: 'limit-count' }],
});

/** Lists that are computed have ids that nobody knows. */
const computed = ['a', 'b'].map((id) => ({ id, nodes: { 'a:80': 1 } }));
defineConfig({ upstreams: computed, routes: [{ id: 'a', uri: '/a', upstream_id: 'anything' }] });
defineConfig({
  upstreams: [...computed, { id: 'last', nodes: {} }],
  routes: ['x', 'y'].map((id) => ({ id, uri: `/${id}`, upstream_id: id })),
});

/** A part may be written by itself. */
const routes: Config['routes'] = [{ id: 'a', uri: '/a', upstream_id: 'unknown here' }];
defineConfig({ listeners: [{ address: ':80' }] }) satisfies Config;

export { routes };

// @ts-expect-error: no setting or kind has this name.
defineConfig({ rotes: [] });

// @ts-expect-error: no field of the settings has this name.
defineConfig({ client: { header_timout: 5 } });

// @ts-expect-error: seconds are a number.
defineConfig({ client: { header_timeout: '5s' } });

// @ts-expect-error: credentials belong inside their Consumer.
defineConfig({ credentials: [] });

// @ts-expect-error: a Route has no such field.
defineConfig({ routes: [{ id: 'a', url: '/a', upstream }] });

// @ts-expect-error: a Route needs an id.
defineConfig({ routes: [{ uri: '/a', upstream }] });

// @ts-expect-error: a Consumer needs a username.
defineConfig({ consumers: [{ plugins: {} }] });

// @ts-expect-error: there is no such method.
defineConfig({ routes: [{ id: 'a', uri: '/a', methods: ['FETCH'], upstream }] });

// @ts-expect-error: there is no such algorithm.
defineConfig({ upstreams: [{ id: 'a', type: 'random', nodes: {} }] });

// @ts-expect-error: there is no such Plugin.
defineConfig({ routes: [{ id: 'a', uri: '/a', upstream, plugins: { 'limit-cuont': {} } }] });

// @ts-expect-error: the Plugin has no such field.
defineConfig({ routes: [{ id: 'a', uri: '/a', upstream, plugins: { 'limit-count': { cuont: 1 } } }] });

// @ts-expect-error: the field needs another type.
defineConfig({ routes: [{ id: 'a', uri: '/a', upstream, plugins: { cors: { max_age: '5' } } }] });

// @ts-expect-error: the Plugin needs a rate.
defineConfig({ global_rules: [{ id: 'a', plugins: { 'limit-req': { burst: 1, key: 'remote_addr' } } }] });

// @ts-expect-error: a Plugin of one's own has no such field.
defineConfig({ global_rules: [{ id: 'a', plugins: { 'office-hours': { form: 8 } } }] });

// @ts-expect-error: this Plugin recognises nobody.
defineConfig({ consumers: [{ username: 'a', credentials: [{ id: 'a', plugins: { cors: {} } }] }] });

// @ts-expect-error: there is no such Upstream.
defineConfig({ upstreams: [{ id: 'a', nodes: {} }], routes: [{ id: 'a', uri: '/a', upstream_id: 'nope' }] });

// @ts-expect-error: there is no Upstream at all.
defineConfig({ routes: [{ id: 'a', uri: '/a', upstream_id: 'nope' }] });

// @ts-expect-error: there is no such Upstream for the Service.
defineConfig({ upstreams: [{ id: 'a', nodes: {} }], services: [{ id: 'a', upstream_id: 'nope' }] });

// @ts-expect-error: there is no such Service; an Upstream has that id.
defineConfig({ upstreams: [{ id: 'a', nodes: {} }], routes: [{ id: 'a', uri: '/a', service_id: 'a' }] });

defineConfig({
  plugin_configs: [{ id: 'a', plugins: {} }],
  // @ts-expect-error: there is no such Plugin config.
  routes: [{ id: 'a', uri: '/a', upstream, plugin_config_id: 'b' }],
});

// @ts-expect-error: there is no such Consumer group.
defineConfig({ consumer_groups: [{ id: 'a', plugins: {} }], consumers: [{ username: 'a', group_id: 'b' }] });

defineConfig({
  upstreams: [{ id: 'a', nodes: {} }],
  global_rules: [
    // @ts-expect-error: there is no such Upstream, inside of a Plugin's config.
    { id: 'a', plugins: { 'traffic-split': { rules: [{ weighted_upstreams: [{ upstream_id: 'b' }] }] } } },
  ],
});

// @ts-expect-error: the id of a Secret is its manager and a name.
defineConfig({ secrets: [{ id: 'one', uri: 'http://a', prefix: 'kv', token: 'x' }] });
