import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin, type MaybePromise, type Outcome } from '../../plugin/define-plugin.ts';
import { type ConnectionView, slot } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { compileCombination, compileLimitKey } from '../../plugin/limit-key.ts';
import { compileLimitNumber, type LimitNumber } from '../../plugin/limit-number.ts';
import { degradationField, limitPolicy } from '../../plugin/limit-policy.ts';
import { refusalFields, refuse } from '../../plugin/limit-refusal.ts';
import { redisPolicies, redisProblem } from '../../plugin/redis-policy.ts';
import { type Reply, reply } from '../../plugin/reply.ts';

const conn = Type.Union([Type.Integer({ exclusiveMinimum: 0 }), Type.String()], {
  description: 'Requests that may be under way at once: a number, or a text with variables.',
});
const burst = Type.Union([Type.Integer({ minimum: 0 }), Type.String()], {
  description:
    'Requests above `conn` that are delayed; more are refused. A number, or a text with variables.',
});

const config = Type.Object(
  {
    conn: Type.Optional(conn),
    burst: Type.Optional(burst),
    default_conn_delay: Type.Number({
      exclusiveMinimum: 0,
      description: 'Seconds by which a request above `conn` is delayed.',
    }),
    only_use_default_delay: Type.Boolean({
      default: false,
      description:
        'Delay every request above `conn` by `default_conn_delay`, instead of once more for each further `conn` requests under way.',
    }),
    key: Type.Optional(
      Type.String({
        description: 'What requests are counted by. The client address where it has no value.',
      }),
    ),
    key_type: Type.Enum(['var', 'var_combination'], {
      default: 'var',
      description:
        'What `key` is: the name of a variable, or a text with variables such as `$remote_addr $consumer_name`.',
    }),
    rules: Type.Optional(
      Type.Array(
        Type.Object({
          conn,
          burst,
          key: Type.String({
            description:
              'What requests are counted by: a text with variables. The rule is left out for requests for which none of them has a value.',
          }),
        }),
        { description: 'Several limits at once, instead of `conn`, `burst` and `key`.' },
      ),
    ),
    policy: Type.Enum(['local', 'redis', 'redis-cluster'], {
      default: 'local',
      description:
        'Where the counters are kept: in memory that all workers of this machine share, or in Redis for several machines.',
    }),
    key_ttl: Type.Integer({
      minimum: 1,
      default: 3600,
      description:
        'Seconds after which Redis forgets the requests of a worker that was killed; 2 at least and 60 at most. Requests under way are renewed, however long they take.',
    }),
    ...refusalFields,
    ...degradationField,
  },
  { oneOf: [{ required: ['conn', 'burst', 'key'] }, { required: ['rules'] }], ...redisPolicies },
);

type Config = Static<typeof config>;

/** A request, or a connection on a stream route. */
type Subject = Pick<ConnectionView, 'get' | 'set' | 'variable'>;

interface Limit {
  readonly conn: LimitNumber;
  readonly burst: LimitNumber;
  /** Undefined when the limit doesn't apply to the request. */
  key(exchange: Subject): string | undefined;
}

/** A limit as it applies to one request. */
interface Ask {
  readonly key: string;
  readonly conn: number;
  readonly burst: number;
}

/**
 * What one Binding has to leave when the Exchange ends. Linked, since the same Plugin may be bound
 * twice on the way of a request.
 */
interface Stay {
  readonly owner: object;
  readonly keys: string[];
  ended: boolean;
  readonly next: Stay | undefined;
}

const staySlot = slot<Stay>('limit-conn');

export const limitConn = definePlugin({
  name: 'limit-conn',
  summary: 'Limits how many requests are under way at once.',
  priority: 1003,
  streams: true,
  config,
  check: (config) => configProblem(config),
  create(config, kit) {
    const owner = {};
    const limits = compileLimits(config, kit);
    const { limits: counters, failsOpen, dispose } = limitPolicy(config, kit);
    const delayMs = config.default_conn_delay * 1000;

    const stayOf = (exchange: Pick<Subject, 'get'>): Stay | undefined => {
      let stay = exchange.get(staySlot);
      while (stay !== undefined && stay.owner !== owner) stay = stay.next;
      return stay;
    };

    const failed = (error: unknown): Reply | undefined =>
      failsOpen('failed to limit conn', error)
        ? undefined
        : reply(500, undefined, { reason: 'limit_conn_failed' });

    const unusable = (problem: string): Reply | undefined => {
      kit.log.error('failed to get limit conn rules', { problem });
      return config.allow_degradation ? undefined : reply(500, undefined, { reason: 'limit_conn_unusable' });
    };

    /** The delay in milliseconds for whoever is in, or a Reply for whoever is not. */
    const decide = (stay: Stay, asked: Ask, entry: { allowed: boolean; current: number }): Reply | number => {
      if (!entry.allowed) return refuse(config, config.default_conn_delay, 'limit_conn');
      if (stay.ended) counters.leave(asked.key);
      else stay.keys.push(asked.key);
      if (entry.current <= asked.conn) return 0;
      return config.only_use_default_delay ? delayMs : delayMs * Math.floor((entry.current - 1) / asked.conn);
    };

    const goOn = async (
      stay: Stay,
      asks: readonly Ask[],
      from: number,
      pending: Promise<{ allowed: boolean; current: number }> | undefined,
      delay: number,
    ): Promise<Reply | undefined> => {
      try {
        let total = delay;
        for (let index = from; index < asks.length; index++) {
          const asked = asks[index];
          const entry =
            index === from && pending !== undefined
              ? pending
              : counters.enter(asked.key, asked.conn + asked.burst);
          const outcome = decide(stay, asked, await entry);
          if (typeof outcome !== 'number') return outcome;
          total += outcome;
        }
        if (total >= 1) await kit.delay(total);
        return undefined;
      } catch (error) {
        return failed(error);
      }
    };

    const enter = (exchange: Subject): MaybePromise<Outcome> => {
      const asks: Ask[] = [];
      for (const limit of limits) {
        const key = limit.key(exchange);
        if (key === undefined) continue;
        const conn = limit.conn(exchange);
        const burst = limit.burst(exchange);
        if (!(conn > 0 && burst >= 0)) return unusable('conn or burst is not a usable integer');
        asks.push({ key, conn, burst });
      }
      if (asks.length === 0) return unusable('no rule applies');
      const stay: Stay = { owner, keys: [], ended: false, next: exchange.get(staySlot) };
      exchange.set(staySlot, stay);
      let delay = 0;
      try {
        for (let index = 0; index < asks.length; index++) {
          const asked = asks[index];
          const entry = counters.enter(asked.key, asked.conn + asked.burst);
          if (entry instanceof Promise) return goOn(stay, asks, index, entry, delay);
          const outcome = decide(stay, asked, entry);
          if (typeof outcome !== 'number') return outcome;
          delay += outcome;
        }
      } catch (error) {
        return failed(error);
      }
      return delay >= 1 ? goOn(stay, asks, asks.length, undefined, delay) : undefined;
    };

    const leave = (exchange: Subject): void => {
      const stay = stayOf(exchange);
      if (stay === undefined || stay.ended) return;
      // An answer of `enter` may still be on its way; whoever gets it then leaves at once.
      stay.ended = true;
      for (const key of stay.keys) counters.leave(key);
    };

    return {
      access: enter,
      log: leave,
      connect: enter,
      disconnect: leave,
      ...(dispose !== undefined && { dispose }),
    };
  },
});

function compileLimits(config: Config, kit: Kit): readonly Limit[] {
  const prefix = `${kit.stateKey}:`;
  if (config.rules === undefined) {
    const key = compileLimitKey(config.key_type, config.key!);
    return [
      {
        conn: compileLimitNumber(config.conn!, 1),
        burst: compileLimitNumber(config.burst!, 0),
        key: (exchange) => prefix + key(exchange),
      },
    ];
  }
  return config.rules.map((rule, index) => {
    const key = compileCombination(rule.key);
    return {
      conn: compileLimitNumber(rule.conn, 1),
      burst: compileLimitNumber(rule.burst, 0),
      key: (exchange) => {
        const value = key(exchange);
        return value === undefined ? undefined : `${prefix}${index}:${value}`;
      },
    };
  });
}

function configProblem(config: Config): string | undefined {
  if (config.rules !== undefined && (config.conn !== undefined || config.burst !== undefined)) {
    return 'conn/burst and rules cannot be specified at the same time';
  }
  return redisProblem(config);
}
