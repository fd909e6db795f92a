// What the tests of this folder share: links and Limits as a worker has them, on a real Redis.

import type { Logger } from '../../src/plugin/kit.ts';
import type { Limits } from '../../src/plugin/limits.ts';
import { type RedisFields, redisSettings } from '../../src/plugin/redis-settings.ts';
import { RedisLimits } from '../../src/state/redis/limits.ts';
import { openRedis, type RedisClient } from '../../src/state/redis/open-redis.ts';
import { type Acquired, RedisLinks } from '../../src/state/redis/redis-links.ts';
import type { Scope } from '../support/echo-upstream.ts';

export interface Machine {
  readonly acquired: Acquired;
  readonly limits: RedisLimits;
  /** What it said in its log. */
  readonly lines: string[];
  /** Connections that were tried. */
  readonly attempts: RedisClient[];
}

/** One worker of one machine. */
export function machine(
  scope: Scope,
  fields: Partial<RedisFields> & { readonly redis_port?: number },
  options: { readonly local?: Limits; readonly stayTtlSeconds?: number } = {},
): Machine {
  const lines: string[] = [];
  const attempts: RedisClient[] = [];
  const say: Logger['warn'] = (message) => void lines.push(message);
  const links = new RedisLinks({
    log: { warn: say, info: say },
    random: Math.random,
    open: async (settings) => {
      const client = await openRedis(settings);
      attempts.push(client);
      return client;
    },
  });
  scope.after(() => links.close());
  // Ten times the default: a slow machine must not look like a Redis that is gone.
  const usual = { policy: 'redis', redis_host: '127.0.0.1', redis_decision_timeout: 500 };
  const acquired = links.acquire(redisSettings({ ...usual, ...fields }));
  const limits = new RedisLimits(acquired.link, acquired.stays, {
    stayTtlSeconds: options.stayTtlSeconds ?? 3600,
    local: options.local,
    release: acquired.release,
  });
  return { acquired, limits, lines, attempts };
}
