import { type Static, Type } from '../lib/schema.ts';
import { host } from './address.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { referenceTo } from './identifier.ts';
import { luaScript, refuseLua } from './lua.ts';
import { plugins } from './plugins-field.ts';
import { checkUpstream, upstream } from './upstream.ts';

export const service = Type.Object(
  {
    ...namedDescription,
    plugins: Type.Optional(plugins),
    upstream: Type.Optional(upstream),
    upstream_id: Type.Optional(referenceTo('upstreams')),
    script: Type.Optional(luaScript),
    enable_websocket: Type.Optional(Type.Boolean({ description: 'enable websocket for request' })),
    hosts: Type.Optional(Type.Array(host, { minItems: 1, uniqueItems: true })),
  },
  { additionalProperties: false },
);
export type Service = Static<typeof service>;

export const services = defineResource({
  kind: 'services',
  noun: 'service',
  summary: 'An API behind the gateway: Plugins and Upstream that its Routes share.',
  schema: service,
  plugins: 'bindings',
  inUse: 'this service directly',
  check: (value) => refuseLua(value) ?? (value.upstream && checkUpstream(value.upstream)),
});
