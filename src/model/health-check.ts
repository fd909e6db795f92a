import { type Static, Type } from '../lib/schema.ts';
import { host } from './address.ts';
import { METHODS } from './method.ts';

const protocol = Type.Enum(['http', 'https', 'tcp'], { default: 'http' });
const statuses = (fallback: readonly number[]) =>
  Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
    minItems: 1,
    uniqueItems: true,
    default: fallback,
  });
const count = (fallback: number, minimum = 1) => Type.Integer({ minimum, maximum: 254, default: fallback });
const interval = Type.Integer({ minimum: 1, default: 1, description: 'seconds between two probes' });

const active = Type.Object({
  type: protocol,
  timeout: Type.Number({ default: 1, description: 'seconds' }),
  concurrency: Type.Integer({ default: 10 }),
  host: Type.Optional(host),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  http_method: Type.Enum(METHODS, { default: 'GET' }),
  http_path: Type.String({ default: '/' }),
  http_req_body: Type.String({ default: '' }),
  https_verify_certificate: Type.Boolean({ default: true }),
  healthy: Type.Optional(Type.Object({ interval, http_statuses: statuses([200, 302]), successes: count(2) })),
  unhealthy: Type.Optional(
    Type.Object({
      interval,
      http_statuses: statuses([429, 404, 500, 501, 502, 503, 504, 505]),
      http_failures: count(5),
      tcp_failures: count(2),
      timeouts: count(3),
    }),
  ),
  req_headers: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
});

const PASSIVE_HEALTHY = [
  200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
];

const passive = Type.Object({
  type: protocol,
  healthy: Type.Optional(Type.Object({ http_statuses: statuses(PASSIVE_HEALTHY), successes: count(5, 0) })),
  unhealthy: Type.Optional(
    Type.Object({
      http_statuses: statuses([429, 500, 503]),
      tcp_failures: count(2, 0),
      timeouts: count(7, 0),
      http_failures: count(5, 0),
    }),
  ),
});

/** How an Upstream finds out which of its Targets work: by probes, and from the traffic itself. */
export const healthCheck = Type.Object(
  { active: Type.Optional(active), passive: Type.Optional(passive) },
  { anyOf: [{ required: ['active'] }, { required: ['active', 'passive'] }] },
);

export type HealthCheck = Static<typeof healthCheck>;
