import { Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { compileLimitKey } from '../../plugin/limit-key.ts';
import { degradationField, limitPolicy } from '../../plugin/limit-policy.ts';
import { refusalFields, refuse } from '../../plugin/limit-refusal.ts';
import type { LimitVerdict } from '../../plugin/limits.ts';
import { redisPolicies, redisProblem } from '../../plugin/redis-policy.ts';
import { type Reply, reply } from '../../plugin/reply.ts';

/** Shorter than this is not worth a timer; APISIX has the same threshold. */
const SHORTEST_DELAY_SECONDS = 0.001;

export const limitReq = definePlugin({
  name: 'limit-req',
  summary: 'Smooths requests to a steady rate with a leaky bucket, delaying some and refusing the rest.',
  priority: 1001,
  config: Type.Object(
    {
      rate: Type.Number({ exclusiveMinimum: 0, description: 'Requests let through per second.' }),
      burst: Type.Number({
        minimum: 0,
        description: 'Requests above the rate that are delayed; more are refused.',
      }),
      key: Type.String({
        description: 'What requests are counted by. The client address where it has no value.',
      }),
      key_type: Type.Enum(['var', 'var_combination'], {
        default: 'var',
        description:
          'What `key` is: the name of a variable, or a text with variables such as `$remote_addr $consumer_name`.',
      }),
      policy: Type.Enum(['local', 'redis', 'redis-cluster'], {
        default: 'local',
        description:
          'Where the counters are kept: in memory that all workers of this machine share, or in Redis for several machines.',
      }),
      ...refusalFields,
      nodelay: Type.Boolean({
        default: false,
        description: 'Let requests within the burst through at once instead of delaying them.',
      }),
      ...degradationField,
    },
    redisPolicies,
  ),
  check: (config) => redisProblem(config),
  create(config, kit) {
    const { rate, burst, nodelay } = config;
    const { limits, failsOpen, dispose } = limitPolicy(config, kit);
    const prefix = `${kit.stateKey}:`;
    const key = compileLimitKey(config.key_type, config.key);

    const decide = (verdict: LimitVerdict): Reply | undefined | Promise<undefined> => {
      if (!verdict.allowed) return refuse(config, verdict.resetSeconds, 'limit_req');
      if (nodelay || verdict.delaySeconds < SHORTEST_DELAY_SECONDS) return undefined;
      return kit.delay(verdict.delaySeconds * 1000) as Promise<undefined>;
    };
    const failed = (error: unknown): Reply | undefined =>
      failsOpen('failed to limit req', error)
        ? undefined
        : reply(500, undefined, { reason: 'limit_req_failed' });

    return {
      ...(dispose !== undefined && { dispose }),
      access(exchange) {
        try {
          const verdict = limits.leakyBucket(prefix + key(exchange), rate, burst);
          return verdict instanceof Promise ? verdict.then(decide).catch(failed) : decide(verdict);
        } catch (error) {
          return failed(error);
        }
      },
    };
  },
});
