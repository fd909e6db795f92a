import { withDefaults } from '../../lib/json-schema.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { type Upstream, upstream as upstreamSchema } from '../../model/upstream.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { BeforeProxyExchange } from '../../plugin/exchange.ts';
import { Mirror } from './mirror.ts';

const HOST = /^(https?|grpcs?):\/\/([\da-zA-Z.-]+|\[[\da-fA-F:]+\])(?::(\d+))?$/;

const config = Type.Object({
  host: Type.String({
    pattern: '^(http(s)?|grpc(s)?):\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?$',
    description: 'Where copies go, for example `http://10.0.0.7:8080`. gRPC is not yet available.',
  }),
  path: Type.Optional(
    Type.String({
      pattern: '^/[^?&]+$',
      description: "The path of copies; the request's own when absent.",
    }),
  ),
  path_concat_mode: Type.Enum(['replace', 'prefix'], {
    default: 'replace',
    description: "Whether `path` stands in place of the request's path, or before it.",
  }),
  sample_ratio: Type.Number({
    minimum: 0.00001,
    maximum: 1,
    default: 1,
    description: 'The share of requests that are copied.',
  }),
  max_body_size: Type.Integer({
    minimum: 0,
    default: 1_048_576,
    description:
      'Requests with a body of more bytes are not copied. Copies are held in memory till they are sent.',
  }),
  max_concurrency: Type.Integer({
    minimum: 1,
    default: 64,
    description: 'Copies under way at once, per worker; requests beyond are not copied.',
  }),
  timeout: Type.Number({
    exclusiveMinimum: 0,
    maximum: 3600,
    default: 10,
    description: 'Seconds that a copy may take.',
  }),
});

type Config = Static<typeof config>;

/** An Upstream for the host alone: asked once, with no second try. */
function upstreamFor({ host, timeout }: Config): Upstream {
  const [, scheme, name, port] = HOST.exec(host)!;
  const usual = scheme === 'https' ? 443 : 80;
  return withDefaults(upstreamSchema, {
    scheme,
    nodes: [{ host: name, port: port === undefined ? usual : Number(port), weight: 1 }],
    retries: 0,
    timeout: { connect: timeout, send: timeout, read: timeout },
  }) as Upstream;
}

function targetFor({ upstream }: BeforeProxyExchange, { path, path_concat_mode: mode }: Config): string {
  const query = upstream.query === '' ? '' : `?${upstream.query}`;
  if (path === undefined) return upstream.path + query;
  return (mode === 'prefix' ? path + upstream.path : path) + query;
}

export const proxyMirror = definePlugin({
  name: 'proxy-mirror',
  summary: 'Sends copies of requests to another host and forgets the answers.',
  priority: 1010,
  config,
  check({ host }) {
    if (/^grpcs?:/.test(host))
      return `property "host" validation failed: gRPC can't be mirrored yet, in "${host}"`;
    const port = HOST.exec(host)?.[3];
    if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
      return `property "host" validation failed: no port: ${port}`;
  },
  create(config, kit) {
    const mirror = new Mirror(kit, kit.upstream(upstreamFor(config)), config);
    return {
      beforeProxy(exchange) {
        if (config.sample_ratio < 1 && kit.random() >= config.sample_ratio) return;
        mirror.copy(exchange, targetFor(exchange, config));
      },
    };
  },
});
