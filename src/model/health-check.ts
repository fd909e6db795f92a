import { withDefaults } from '../lib/json-schema.ts';
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
  ejection_seconds: Type.Number({
    exclusiveMinimum: 0,
    maximum: 86_400,
    default: 10,
    description:
      'Without active checks: for how long a Target that failed is passed over at first. Each time that it fails again on its return, twice as long.',
  }),
  max_ejection_seconds: Type.Number({
    exclusiveMinimum: 0,
    maximum: 86_400,
    default: 300,
    description: 'Without active checks: for how long a Target is passed over at most.',
  }),
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

/**
 * How an Upstream finds out which of its Targets work: by probes, and from the traffic itself.
 * APISIX wants `active` wherever there is `passive`; here a Target comes back without probes, too.
 */
export const healthCheck = Type.Object(
  { active: Type.Optional(active), passive: Type.Optional(passive) },
  { anyOf: [{ required: ['active'] }, { required: ['passive'] }] },
);

export type HealthCheck = Static<typeof healthCheck>;

/** Checks with everything filled in. */
export interface CompleteHealthCheck {
  readonly active: Complete<HealthCheck['active']> | undefined;
  readonly passive: Complete<HealthCheck['passive']> | undefined;
}
type Complete<T> = T extends { healthy?: infer H; unhealthy?: infer U }
  ? Omit<T, 'healthy' | 'unhealthy'> & {
      readonly healthy: NonNullable<H>;
      readonly unhealthy: NonNullable<U>;
    }
  : never;

/**
 * Fills in what was left out, also `healthy` and `unhealthy` where they are missing as a whole: in
 * APISIX nothing is probed or counted then, though it says that it checks.
 */
export function completeHealthCheck(checks: Partial<HealthCheck>): CompleteHealthCheck {
  const whole = <T extends object>(part: T | undefined) => part && { healthy: {}, unhealthy: {}, ...part };
  const written: Record<string, unknown> = {};
  if (checks.active !== undefined) written.active = whole(checks.active);
  if (checks.passive !== undefined) written.passive = whole(checks.passive);
  const { active, passive } = withDefaults(healthCheck, written);
  return { active, passive } as CompleteHealthCheck;
}
