import { IpSet } from '../lib/ip-range.ts';
import { type Static, Type } from '../lib/schema.ts';
import { addressRange, clientAddress, HOST_PATTERN } from './address.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { identifier, referenceTo } from './identifier.ts';
import { plugins } from './plugins-field.ts';
import { checkUpstream, upstream } from './upstream.ts';

const anyObject = Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object' });

const protocol = Type.Object({
  name: Type.String(),
  superior_id: Type.Optional(identifier),
  conf: Type.Optional(anyObject),
  logger: Type.Optional(
    Type.Array(
      Type.Unsafe<Readonly<Record<string, unknown>>>({
        properties: { name: { type: 'string' }, filter: { type: 'array' }, conf: { type: 'object' } },
        dependencies: { name: ['conf'] },
        additionalProperties: false,
      }),
    ),
  ),
});

export const streamRoute = Type.Object(
  {
    ...namedDescription,
    remote_addr: Type.Optional(clientAddress),
    server_addr: Type.Optional(addressRange),
    server_port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'server port' })),
    sni: Type.Optional(Type.String({ pattern: HOST_PATTERN, description: 'server name indication' })),
    tls_passthrough: Type.Boolean({ default: false }),
    upstream: Type.Optional(upstream),
    upstream_id: Type.Optional(referenceTo('upstreams')),
    service_id: Type.Optional(referenceTo('services')),
    plugins: Type.Optional(plugins),
    protocol: Type.Optional(protocol),
  },
  { additionalProperties: false },
);
export type StreamRoute = Static<typeof streamRoute>;

export const streamRoutes = defineResource({
  kind: 'stream_routes',
  noun: 'stream route',
  summary: 'Which TCP or UDP connections go to which Upstream.',
  schema: streamRoute,
  unsupported: ['PATCH'],
  plugins: 'streams',
  check: checkStreamRoute,
});

function checkStreamRoute(route: StreamRoute): string | undefined {
  const { upstream: inline, protocol: sub, remote_addr: client, server_addr: server } = route;
  // The schema's pattern lets through what is no address.
  try {
    new IpSet([client, server].filter((range) => range !== undefined));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (sub !== undefined) {
    return 'invalid configuration: property "protocol" is for protocols inside of TCP (xRPC), which are not supported; leave it out to pass the bytes on';
  }
  return inline && checkUpstream(inline);
}
