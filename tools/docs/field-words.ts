/**
 * What fields of resources are, where the schema says nothing: the published schemas follow APISIX's,
 * which describe few fields. By name, or by kind and name where a kind means something of its own.
 */
export const fieldWords: Readonly<Record<string, string>> = {
  id: 'What others refer to it by. In the Admin API it is part of the path.',
  name: 'A name for people.',
  desc: 'A description for people.',
  plugins: 'Bindings, by the name of the Plugin: see [the order of plugins](../plugin-order.md).',
  upstream_id: 'An Upstream kept by itself.',
  service_id: 'The Service that it belongs to.',
  plugin_config_id: 'A Plugin config whose Bindings it takes over.',
  group_id: 'The Consumer group that it belongs to.',
  username: "The Consumer's name, which is its id.",
  'consumers.plugins': 'Credentials and Bindings, by the name of the Plugin.',
  'credentials.plugins': 'One credential, by the name of the Plugin.',
  'routes.uri':
    'The path: exact, with parameters (`/users/:name`), or a prefix (`/api/*`). It begins with a slash.',
  'routes.host':
    'The host that a request must ask for: a name, or `*.` before one. Case and port make no difference.',
  'routes.hosts': 'Several of them.',
  'routes.uris': 'Several of them.',
  'routes.priority': 'Among Routes whose host and path are equally specific, the higher is tried first.',
  'routes.methods': 'The methods; all when absent.',
  'routes.remote_addr': "The client's address or range.",
  'routes.remote_addrs': 'Several of them.',
  'routes.vars': 'An expression that the request must fulfil, for example `[["arg_name", "==", "jack"]]`.',
  'routes.enable_websocket': 'Whether requests for a WebSocket are passed on as such.',
  'routes.status': '1 switches the Route on, 0 off.',
  'routes.timeout':
    "How long connecting, sending and reading may take, in seconds; wins over the Upstream's.",
  'services.enable_websocket': 'The same as on a Route, for Routes that say nothing.',
  'services.hosts': 'The hosts of its Routes that name none.',
  'services.script': 'Lua, which is refused here: use a Plugin.',
  'routes.filter_func': 'Lua, which is refused here: use `vars`.',
  'routes.script': 'Lua, which is refused here: use a Plugin.',
  'routes.script_id': 'Lua, which is refused here: use a Plugin.',
  'upstreams.nodes': 'The Targets: `host:port` and weight, or a list of objects.',
  'upstreams.type': 'How a Target is chosen.',
  'upstreams.hash_on': 'What `chash` computes its hash of.',
  'upstreams.key': 'The name of that variable, header or cookie, or the variables: `$host$uri`.',
  'upstreams.scheme': 'How the Targets are spoken to: `http` or `https`. The others have no effect yet.',
  'upstreams.pass_host': "The Host that the Target sees: the client's, the Target's, or `upstream_host`.",
  'upstreams.upstream_host': 'That Host, where `pass_host` is `rewrite`.',
  'upstreams.retries':
    'Further attempts, each at another Target; as many as there are Targets less one when absent.',
  'upstreams.retry_timeout':
    'Seconds after which no further attempt begins; 0, as when absent, for no such limit.',
  'upstreams.timeout': 'How long connecting, sending and reading may take, in seconds; 60 each when absent.',
  'upstreams.keepalive_pool': 'The connections that are kept for reuse.',
  'upstreams.checks':
    'Health checks: `active` ones ask the Targets, `passive` ones watch the traffic. Without effect yet.',
  'upstreams.tls': 'How Targets are spoken to by TLS. `ca_certs` has no effect yet.',
  'upstreams.service_name': 'What discovery looks up. Without effect yet.',
  'upstreams.discovery_type': 'Where discovery looks it up. Without effect yet.',
  'upstreams.discovery_args': 'How. Without effect yet.',
  'upstreams.slow_start': 'A growing share for Targets that are new. Without effect yet.',
};
