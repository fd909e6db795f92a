import { type Static, Type } from '../../lib/schema.ts';
import type { Admission, BreakerPolicy } from '../../plugin/breakers.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { slot } from '../../plugin/exchange.ts';
import { reply } from '../../plugin/reply.ts';

const statuses = (minimum: number, maximum: number, byDefault: number, description: string) =>
  Type.Array(Type.Integer({ minimum, maximum }), {
    minItems: 1,
    uniqueItems: true,
    default: [byDefault],
    description,
  });

const unhealthy = {
  http_statuses: statuses(500, 599, 500, 'Statuses of the Upstream that count as failures.'),
  failures: Type.Integer({
    minimum: 1,
    default: 3,
    description: 'For `unhealthy-count`: failures at which it opens, each time that their number is reached.',
  }),
  error_ratio: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.5,
    description: 'For `unhealthy-ratio`: the share of failures at which it opens.',
  }),
  min_request_threshold: Type.Integer({
    minimum: 1,
    default: 10,
    description: 'For `unhealthy-ratio`: requests in the window before the share means anything.',
  }),
  sliding_window_size: Type.Integer({
    minimum: 10,
    maximum: 3600,
    default: 300,
    description: 'For `unhealthy-ratio`: seconds that are looked back on.',
  }),
  half_open_max_calls: Type.Integer({
    minimum: 1,
    maximum: 20,
    default: 3,
    description: 'For `unhealthy-ratio`: requests that are let through to see whether it is over.',
  }),
};

const healthy = {
  http_statuses: statuses(200, 499, 200, 'Statuses of the Upstream that count as successes.'),
  successes: Type.Integer({
    minimum: 1,
    default: 3,
    description: 'For `unhealthy-count`: successes in a row after which failures are forgotten.',
  }),
  success_ratio: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 0.6,
    description:
      'For `unhealthy-ratio`: the share of the requests let through that must succeed for it to close.',
  }),
};

const defaultsOf = (fields: Parameters<typeof Type.Object>[0]) =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.default]));

const config = Type.Object({
  break_response_code: Type.Integer({
    minimum: 200,
    maximum: 599,
    description: 'The status of the answer while it is open.',
  }),
  break_response_body: Type.Optional(Type.String({ description: 'The body of that answer.' })),
  break_response_headers: Type.Optional(
    Type.Array(Type.Object({ key: Type.String({ minLength: 1 }), value: Type.String({ minLength: 1 }) }), {
      description:
        'Header fields of that answer, where there is a `break_response_body`. Values may have variables.',
    }),
  ),
  max_breaker_sec: Type.Integer({
    minimum: 3,
    default: 300,
    description:
      'Seconds: with `unhealthy-count` the longest that it stays open, with `unhealthy-ratio` how long it does.',
  }),
  policy: Type.Enum(['unhealthy-count', 'unhealthy-ratio'], {
    default: 'unhealthy-count',
    description: 'Whether a number of failures opens it, or their share.',
  }),
  unhealthy: Type.Object(unhealthy, { default: defaultsOf(unhealthy) }),
  healthy: Type.Object(healthy, { default: defaultsOf(healthy) }),
});

/** What the breaker said about the request; its key, since a later Plugin may rewrite what made it. */
interface Passed {
  readonly owner: object;
  readonly key: string;
  readonly admission: Admission;
  readonly next: Passed | undefined;
}

const passedSlot = slot<Passed>('api-breaker');

export const apiBreaker = definePlugin({
  name: 'api-breaker',
  summary: 'Answers itself for a while when the Upstream fails too often.',
  priority: 1005,
  config,
  create(config, kit) {
    const owner = {};
    const policy = policyOf(config);
    const failures = new Set<number>(config.unhealthy.http_statuses);
    const successes = new Set<number>(config.healthy.http_statuses);
    const { break_response_code: status, break_response_body: body } = config;
    const headers = (config.break_response_headers ?? []).map(
      ({ key, value }) => [key, kit.template(value)] as const,
    );
    const prefix = `${kit.stateKey}:`;
    return {
      access(exchange) {
        const { host, path } = exchange.request;
        // APISIX's keys: with the count policy each path of each host breaks by itself.
        const key = policy.type === 'count' ? `${prefix}${host}${path}` : prefix;
        const admission = kit.breakers.admit(key, policy);
        if (admission <= 0) {
          exchange.set(passedSlot, { owner, key, admission, next: exchange.get(passedSlot) });
          return undefined;
        }
        return reply(status, body, {
          headers: body === undefined ? [] : headers.map(([name, value]) => [name, value(exchange)] as const),
          reason: 'circuit_open',
        });
      },
      log(exchange) {
        let passed = exchange.get(passedSlot);
        while (passed !== undefined && passed.owner !== owner) passed = passed.next;
        if (passed === undefined) return;
        const answer = Number(exchange.variable('upstream_status') ?? 0);
        const outcome =
          answer === 0
            ? 'none'
            : failures.has(answer)
              ? 'failure'
              : successes.has(answer)
                ? 'success'
                : 'other';
        const state = kit.breakers.report(passed.key, policy, passed.admission, outcome);
        if (state !== undefined) kit.log.warn(`the circuit is ${state}`, { route: exchange.routeId });
      },
    };
  },
});

function policyOf({
  policy,
  unhealthy,
  healthy,
  max_breaker_sec: most,
}: Static<typeof config>): BreakerPolicy {
  if (policy === 'unhealthy-count') {
    const { failures } = unhealthy;
    return { type: 'count', failures, successes: healthy.successes, longestMs: most * 1000 };
  }
  return {
    type: 'ratio',
    failureRatio: unhealthy.error_ratio,
    minRequests: unhealthy.min_request_threshold,
    windowMs: unhealthy.sliding_window_size * 1000,
    openMs: most * 1000,
    probes: unhealthy.half_open_max_calls,
    successRatio: healthy.success_ratio,
  };
}
