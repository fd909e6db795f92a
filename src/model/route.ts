import { type Static, Type } from '../lib/schema.ts';
import { clientAddress, host } from './address.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { identifier, referenceTo } from './identifier.ts';
import { luaScript, refuseLua } from './lua.ts';
import { METHODS } from './method.ts';
import { plugins } from './plugins-field.ts';
import { checkUpstream, timeout, upstream } from './upstream.ts';

const oneOrNone = (one: string, many: string) => ({
  oneOf: [
    { not: { anyOf: [{ required: [one] }, { required: [many] }] } },
    { required: [one] },
    { required: [many] },
  ],
});

export const route = Type.Object(
  {
    ...namedDescription,
    uri: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    uris: Type.Optional(
      Type.Array(Type.String({ description: 'HTTP uri' }), { minItems: 1, uniqueItems: true }),
    ),
    priority: Type.Integer({ default: 0 }),
    methods: Type.Optional(
      Type.Array(Type.Enum(METHODS, { description: 'HTTP method' }), { uniqueItems: true }),
    ),
    host: Type.Optional(host),
    hosts: Type.Optional(Type.Array(host, { minItems: 1, uniqueItems: true })),
    remote_addr: Type.Optional(clientAddress),
    remote_addrs: Type.Optional(Type.Array(clientAddress, { minItems: 1, uniqueItems: true })),
    timeout: Type.Optional(timeout),
    vars: Type.Optional(Type.Unsafe<readonly unknown[]>({ type: 'array' })),
    filter_func: Type.Optional(Type.String({ minLength: 10, pattern: '^function' })),
    script: Type.Optional(luaScript),
    script_id: Type.Optional(identifier),
    plugins: Type.Optional(plugins),
    plugin_config_id: Type.Optional(referenceTo('plugin_configs')),
    upstream: Type.Optional(upstream),
    service_id: Type.Optional(referenceTo('services')),
    upstream_id: Type.Optional(referenceTo('upstreams')),
    enable_websocket: Type.Optional(Type.Boolean({ description: 'enable websocket for request' })),
    status: Type.Enum([1, 0], { default: 1, description: 'route status, 1 to enable, 0 to disable' }),
  },
  {
    allOf: [
      { oneOf: [{ required: ['uri'] }, { required: ['uris'] }] },
      oneOrNone('host', 'hosts'),
      oneOrNone('remote_addr', 'remote_addrs'),
    ],
    anyOf: [
      { required: ['plugins', 'uri'] },
      { required: ['upstream', 'uri'] },
      { required: ['upstream_id', 'uri'] },
      { required: ['service_id', 'uri'] },
      { required: ['plugins', 'uris'] },
      { required: ['upstream', 'uris'] },
      { required: ['upstream_id', 'uris'] },
      { required: ['service_id', 'uris'] },
      { required: ['script', 'uri'] },
      { required: ['script', 'uris'] },
    ],
    not: { anyOf: [{ required: ['script', 'plugins'] }, { required: ['script', 'plugin_config_id'] }] },
    additionalProperties: false,
  },
);
export type Route = Static<typeof route>;

export const routes = defineResource({
  kind: 'routes',
  noun: 'route',
  summary: 'Which requests, which Plugins, and which Service or Upstream.',
  schema: route,
  plugins: 'bindings',
  precheck(value) {
    if (value.host !== undefined && value.hosts !== undefined) return 'only one of host or hosts is allowed';
    if (value.remote_addr !== undefined && value.remote_addrs !== undefined) {
      return 'only one of remote_addr or remote_addrs is allowed';
    }
    return undefined;
  },
  check(value, { expression }) {
    const wrong = refuseLua(value) ?? (value.upstream && checkUpstream(value.upstream));
    if (wrong !== undefined) return wrong;
    const wrongVars = value.vars && expression(value.vars);
    return wrongVars && `failed to validate the 'vars' expression: ${wrongVars}`;
  },
});
