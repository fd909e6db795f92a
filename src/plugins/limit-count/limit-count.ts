import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { type AccessExchange, slot } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { compileCombination, compileLimitKey } from '../../plugin/limit-key.ts';
import { compileLimitNumber, type LimitNumber } from '../../plugin/limit-number.ts';
import { degradationField, limitPolicy } from '../../plugin/limit-policy.ts';
import { refusalFields, refuse } from '../../plugin/limit-refusal.ts';
import type { LimitVerdict } from '../../plugin/limits.ts';
import { redisPoliciesWithSentinel, redisProblem } from '../../plugin/redis-policy.ts';
import { type Reply, reply } from '../../plugin/reply.ts';
import { compileQuotaHeaders, type QuotaHeaders } from './quota-headers.ts';

const positive = (description: string) =>
  Type.Union([Type.Integer({ exclusiveMinimum: 0 }), Type.String()], { description });
const count = positive(
  'Requests allowed in one window: a number, or a text with variables such as `$http_x_quota`.',
);
const timeWindow = positive('Length of the window in seconds: a number, or a text with variables.');

const config = Type.Object(
  {
    count: Type.Optional(count),
    time_window: Type.Optional(timeWindow),
    window_type: Type.Enum(['fixed', 'sliding'], {
      default: 'fixed',
      description:
        'With `fixed`, a window starts at its first request and ends with all its counts; with `sliding`, the previous window counts in proportion to its overlap.',
    }),
    rules: Type.Optional(
      Type.Array(
        Type.Object({
          count,
          time_window: timeWindow,
          key: Type.String({
            description:
              'What requests are counted by: a text with variables. The rule is left out for requests for which none of them has a value.',
          }),
          header_prefix: Type.Optional(
            Type.String({
              description:
                "Stands before `RateLimit-` in the names of this rule's header fields; the rule's number when absent.",
            }),
          ),
        }),
        { description: 'Several limits at once, instead of `count` and `time_window`.' },
      ),
    ),
    group: Type.Optional(
      Type.String({
        description: 'Bindings with the same group count together; their configs must be equal.',
      }),
    ),
    key: Type.String({
      default: 'remote_addr',
      description: 'What requests are counted by. The client address where it has no value.',
    }),
    key_type: Type.Enum(['var', 'var_combination', 'constant'], {
      default: 'var',
      description:
        'What `key` is: the name of a variable, a text with variables such as `$remote_addr $consumer_name`, or one key for everyone.',
    }),
    ...refusalFields,
    policy: Type.Enum(['local', 'redis', 'redis-cluster', 'redis-sentinel'], {
      default: 'local',
      description:
        'Where the counters are kept: in memory that all workers of this machine share, or in Redis for several machines.',
    }),
    ...degradationField,
    show_limit_quota_header: Type.Boolean({
      default: true,
      description: 'Tell the client its quota in X-RateLimit-* fields.',
    }),
    sync_interval: Type.Number({
      default: -1,
      description: 'Every request asks Redis, so only -1 will do with a Redis policy.',
    }),
    rate_limit_fields: Type.Boolean({
      default: false,
      description:
        'Also send the RateLimit and RateLimit-Policy fields of draft-ietf-httpapi-ratelimit-headers.',
    }),
  },
  {
    oneOf: [{ required: ['count', 'time_window'] }, { required: ['rules'] }],
    ...redisPoliciesWithSentinel,
  },
);

type Config = Static<typeof config>;

/** One limit of a Binding: everything known beforehand. */
interface Limit {
  readonly count: LimitNumber;
  readonly timeWindow: LimitNumber;
  /** Undefined when the limit doesn't apply to the request. */
  key(exchange: AccessExchange): string | undefined;
  readonly headers: QuotaHeaders;
}

/** A limit as it applies to one request. */
interface Ask {
  readonly limit: Limit;
  readonly key: string;
  readonly count: number;
  readonly timeWindow: number;
}

/** Header fields for the response: name, value, name, value. */
const fieldsSlot = slot<string[]>('limit-count');

export const limitCount = definePlugin({
  name: 'limit-count',
  summary: 'Allows a number of requests in a window of time.',
  priority: 1002,
  config,
  metadata: Type.Object({
    limit_header: Type.String({
      default: 'X-RateLimit-Limit',
      description: 'Name of the field with the quota.',
    }),
    remaining_header: Type.String({
      default: 'X-RateLimit-Remaining',
      description: 'Name of the field with what is left of it.',
    }),
    reset_header: Type.String({
      default: 'X-RateLimit-Reset',
      description: 'Name of the field with the seconds until the window ends.',
    }),
  }),
  group: ({ group }) => group,
  check: (config) => configProblem(config),
  create(config, kit) {
    const limits = compileLimits(config, kit);
    const { limits: counters, failsOpen, dispose } = limitPolicy(config, kit);
    const only = config.rules === undefined ? limits[0] : undefined;
    const { allow_degradation: allowDegradation } = config;
    const showsFields = config.show_limit_quota_header || config.rate_limit_fields;

    const sliding = config.window_type === 'sliding';
    const ask = ({ key, count, timeWindow }: Ask) =>
      sliding
        ? counters.slidingWindow(key, count, timeWindow, 1)
        : counters.fixedWindow(key, count, timeWindow, 1);

    const decide = (exchange: AccessExchange, asked: Ask, verdict: LimitVerdict): Reply | undefined => {
      if (showsFields) {
        let fields = exchange.get(fieldsSlot);
        if (fields === undefined) exchange.set(fieldsSlot, (fields = []));
        asked.limit.headers.append(fields, asked.count, asked.timeWindow, verdict);
      }
      return verdict.allowed ? undefined : refuse(config, verdict.resetSeconds, 'limit_count');
    };

    const failed = (error: unknown): Reply | undefined =>
      failsOpen('failed to limit count', error)
        ? undefined
        : reply(500, { error_msg: 'failed to limit count' }, { reason: 'limit_count_failed' });

    const unusable = (problem: string): Reply | undefined => {
      kit.log.error('failed to get rate limit rules', { problem });
      return allowDegradation ? undefined : reply(500, undefined, { reason: 'limit_count_unusable' });
    };

    const goOn = async (
      exchange: AccessExchange,
      asks: readonly Ask[],
      first: Promise<LimitVerdict>,
      from: number,
    ): Promise<Reply | undefined> => {
      try {
        for (let index = from; index < asks.length; index++) {
          const verdict = await (index === from ? first : ask(asks[index]));
          const outcome = decide(exchange, asks[index], verdict);
          if (outcome !== undefined) return outcome;
        }
        return undefined;
      } catch (error) {
        return failed(error);
      }
    };

    return {
      access(exchange) {
        if (
          only !== undefined &&
          typeof config.count === 'number' &&
          typeof config.time_window === 'number'
        ) {
          // The usual case, one limit with numbers: nothing to collect, nothing that can't be used.
          const { count, time_window: timeWindow } = config;
          const asked = { limit: only, key: only.key(exchange)!, count, timeWindow };
          try {
            const verdict = ask(asked);
            return verdict instanceof Promise
              ? goOn(exchange, [asked], verdict, 0)
              : decide(exchange, asked, verdict);
          } catch (error) {
            return failed(error);
          }
        }
        // All limits are looked at before any counts, so that a bad number counts nowhere.
        const asks: Ask[] = [];
        for (const limit of limits) {
          const key = limit.key(exchange);
          if (key === undefined) continue;
          const count = limit.count(exchange);
          const timeWindow = limit.timeWindow(exchange);
          if (!(count > 0 && timeWindow > 0))
            return unusable('count or time_window is not a positive integer');
          asks.push({ limit, key, count, timeWindow });
        }
        if (asks.length === 0) return unusable('no rule applies');
        try {
          for (let index = 0; index < asks.length; index++) {
            const verdict = ask(asks[index]);
            if (verdict instanceof Promise) return goOn(exchange, asks, verdict, index);
            const outcome = decide(exchange, asks[index], verdict);
            if (outcome !== undefined) return outcome;
          }
          return undefined;
        } catch (error) {
          return failed(error);
        }
      },
      ...(dispose !== undefined && { dispose }),
      ...(showsFields && {
        responseHeaders(exchange) {
          const fields = exchange.get(fieldsSlot);
          if (fields === undefined) return;
          for (let index = 0; index < fields.length; index += 2) {
            exchange.response.setHeader(fields[index], fields[index + 1]);
          }
        },
      }),
    };
  },
});

function compileLimits(config: Config, kit: Kit): readonly Limit[] {
  const prefix = config.group === undefined ? `${kit.stateKey}:` : `limit-count/group/${config.group}:`;
  if (config.rules === undefined) {
    const key = compileLimitKey(config.key_type, config.key);
    return [
      {
        count: compileLimitNumber(config.count!, 1),
        timeWindow: compileLimitNumber(config.time_window!, 1),
        key: (exchange) => prefix + key(exchange),
        headers: compileQuotaHeaders(config, undefined, kit),
      },
    ];
  }
  return config.rules.map((rule, index) => {
    const key = compileCombination(rule.key);
    return {
      count: compileLimitNumber(rule.count, 1),
      timeWindow: compileLimitNumber(rule.time_window, 1),
      key: (exchange) => {
        const value = key(exchange);
        return value === undefined ? undefined : `${prefix}${index}:${value}`;
      },
      headers: compileQuotaHeaders(config, rule.header_prefix ?? String(index + 1), kit),
    };
  });
}

function configProblem(config: Config): string | undefined {
  const { rules } = config;
  if (rules !== undefined && (config.count !== undefined || config.time_window !== undefined)) {
    return 'count/time_window and rules cannot be specified at the same time';
  }
  if (rules !== undefined && config.group !== undefined) {
    return 'group and rules cannot be specified at the same time';
  }
  const keys = new Set<string>();
  for (const { key } of rules ?? []) {
    if (keys.has(key)) return `duplicate key '${key}' in rules`;
    keys.add(key);
  }
  if (config.policy !== 'local' && config.sync_interval >= 0) {
    return 'sync_interval: counters are not synchronised at intervals, every request asks Redis; leave it out';
  }
  return redisProblem(config);
}
