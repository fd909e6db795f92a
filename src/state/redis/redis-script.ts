import { createHash } from 'node:crypto';
import type { RedisClient } from './open-redis.ts';

/** A Lua script over one key, atomic on the server that has it. Sent once; then its hash is enough. */
export class RedisScript {
  readonly #lua: string;
  readonly #hash: string;

  constructor(lua: string) {
    this.#lua = lua;
    this.#hash = createHash('sha1').update(lua).digest('hex');
  }

  run(client: RedisClient, key: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return client.call('evalsha', this.#hash, 1, key, ...args).catch((error: Error) => {
      // A server that has been restarted, or another one after a failover.
      if (!error.message.startsWith('NOSCRIPT')) throw error;
      return client.call('eval', this.#lua, 1, key, ...args);
    });
  }
}
