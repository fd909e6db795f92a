// A zone that the gateways of several machines share through a Redis. Each has its own memory in
// front of it: what is fresh there is answered at once, what is not is looked for in Redis first.
// While Redis doesn't answer, each goes on by itself.

import { createHash } from 'node:crypto';
import { ageOf } from '../../lib/http-caching/reuse.ts';
import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry, NewCacheEntry, Purge } from '../../plugin/cache.ts';
import type { MaybePromise } from '../../plugin/limits.ts';
import type { RedisClient } from '../redis/open-redis.ts';
import type { RedisLink } from '../redis/redis-link.ts';
import { RedisScript } from '../redis/redis-script.ts';
import { RedisUnavailable } from '../redis/redis-unavailable.ts';
import { type CacheZone, MOST_VARIANTS } from './cache-zone.ts';

/** Others hear of a purge within so long, and of one that was made while Redis was away. */
const POLL_MS = 300;
/** Nothing stays longer, so that purges need not be remembered longer. */
export const LONGEST_MS = 86_400_000;
/** What can be confirmed stays for so long beyond its time. */
const CONFIRMABLE_MS = 3_600_000;
const MOST_PURGES = 10_000;
/** The clocks of machines may differ by so much. */
const SKEW_MS = 1_000;

/** ARGV: a purge, how many to keep, ms to keep them. The key is a sorted set, by microseconds of the server. */
const NOTE_PURGE = new RedisScript(`
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000000 + tonumber(time[2])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] and tonumber(last[2]) >= at then at = tonumber(last[2]) + 1 end
redis.call('ZADD', KEYS[1], string.format('%.0f', at), string.format('%.0f', at) .. ' ' .. ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[2]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
`);

/** ARGV: which variant, what it is, ms to keep it, how many variants may be kept. The key is a hash of all variants. */
const KEEP = new RedisScript(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local surplus = redis.call('HLEN', KEYS[1]) - tonumber(ARGV[4])
if surplus > 0 then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if surplus == 0 then break end
    if field ~= ARGV[1] then
      redis.call('HDEL', KEYS[1], field)
      surplus = surplus - 1
    end
  end
end
return 1
`);

type Kept = Omit<NewCacheEntry, 'body'>;

export class RedisZone implements Cache {
  readonly name: string;
  readonly maxBodyBytes: number;
  readonly #local: CacheZone;
  readonly #link: RedisLink;
  readonly #process: string;
  readonly #now: () => number;
  readonly #purgesKey: string;
  readonly #timer: NodeJS.Timeout;
  /** Purges that Redis has not been told. */
  readonly #unsent: Purge[] = [];
  #seen = '0';
  #polling = false;

  /** `process` is a name that no other process has. */
  constructor(local: CacheZone, link: RedisLink, process: string, now: () => number) {
    this.#process = process;
    this.name = local.name;
    this.maxBodyBytes = local.maxBodyBytes;
    this.#local = local;
    this.#link = link;
    this.#now = now;
    this.#purgesKey = `sluice:cache:${local.name}:purges`;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS).unref();
    void this.#poll();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  find(resource: string, partition: string): MaybePromise<readonly CacheEntry[]> {
    const local = this.#local.find(resource, partition);
    const now = this.#now();
    if (local.some(({ response }) => ageOf(response, now) < response.lifetime)) return local;
    const key = this.#keyOf(resource, partition);
    const asked = this.#send(key, (client) => client.hgetallBuffer(key));
    if (asked === undefined) return local;
    return asked.then((found) => {
      if (found !== undefined) this.#takeIn(key, found);
      return this.#local.find(resource, partition);
    });
  }

  body(entry: CacheEntry): MaybePromise<Uint8Array | undefined> {
    return this.#local.body(entry);
  }

  put(entry: NewCacheEntry): MaybePromise<void> {
    const { body, ...kept } = entry;
    this.#keep(kept, body);
    return this.#local.put(entry);
  }

  refresh(entry: CacheEntry, response: StoredResponse): void {
    this.#local.refresh(entry, response);
    const { resource, partition, tags } = entry;
    const body = this.#local.body(entry);
    if (body instanceof Uint8Array) this.#keep({ resource, partition, tags, response }, [body]);
  }

  remove(entry: CacheEntry): void {
    this.#local.remove(entry);
    const key = this.#keyOf(entry.resource, entry.partition);
    void this.#send(key, (client) => client.hdel(key, fieldOf(entry.response)));
  }

  purge(what: Purge): number {
    if (this.#unsent.length < MOST_PURGES) this.#unsent.push(what);
    void this.#poll();
    return this.#local.purge(what);
  }

  depart(key: string): 'mine' | 'other' | 'nobody' {
    return this.#local.depart(key);
  }

  land(key: string): void {
    this.#local.land(key);
  }

  landed(key: string): Promise<void> {
    return this.#local.landed(key);
  }

  #keyOf(resource: string, partition: string): string {
    const digest = createHash('sha256').update(`${partition}\0${resource}`).digest('base64url');
    return `sluice:cache:${this.name}:${digest}`;
  }

  #keep(entry: Kept, body: readonly Uint8Array[]): void {
    const { response } = entry;
    let left = response.lifetime - response.initialAge;
    left += Math.max(response.staleWhileRevalidate, response.staleIfError);
    if (response.etag !== undefined || response.lastModified !== undefined)
      left = Math.max(left, CONFIRMABLE_MS);
    if (left < 1) return;
    const key = this.#keyOf(entry.resource, entry.partition);
    const value = encode(entry, body);
    const ttl = Math.ceil(Math.min(left, LONGEST_MS));
    void this.#send(key, (client) => KEEP.run(client, key, fieldOf(response), value, ttl, MOST_VARIANTS));
  }

  /** What other machines have stored, as far as nobody has purged it. */
  #takeIn(key: string, found: Readonly<Record<string, Buffer>>): void {
    for (const [field, value] of Object.entries(found)) {
      const entry = decode(value);
      if (entry === undefined || this.#local.isPurged(entry)) {
        void this.#send(key, (client) => client.hdel(key, field));
      } else if (!this.#local.has(entry)) void this.#local.put(entry);
    }
  }

  /** Tells of own purges and hears of those of others. */
  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    const key = this.#purgesKey;
    while (this.#unsent.length > 0) {
      const [what] = this.#unsent;
      const noted = await this.#send(key, (client) =>
        NOTE_PURGE.run(
          client,
          key,
          JSON.stringify({ ...what, process: this.#process }),
          MOST_PURGES,
          LONGEST_MS * 2,
        ),
      );
      if (noted === undefined) break;
      this.#unsent.shift();
    }
    const news = await this.#send(key, (client) => client.zrangebyscore(key, `(${this.#seen}`, '+inf'));
    // So many that some may be gone already.
    if (this.#seen !== '0' && news?.length === MOST_PURGES) this.#local.purge({ by: 'prefix', value: '' });
    for (const line of news ?? []) {
      const space = line.indexOf(' ');
      this.#seen = line.slice(0, space);
      const { process, ...what } = JSON.parse(line.slice(space + 1)) as Purge & { readonly process: string };
      // The other workers of this process have heard of it long ago.
      if (process !== this.#process) this.#local.purgeAsOf(what, Number(this.#seen) / 1000 + SKEW_MS);
    }
    this.#polling = false;
  }

  /** The answer; undefined, at once or later, where there is none. */
  #send<T>(key: string, issue: (client: RedisClient) => Promise<T>): Promise<T | undefined> | undefined {
    try {
      return this.#link.send(key, issue).catch((error: unknown) => {
        if (!(error instanceof RedisUnavailable)) this.#link.onErrorAnswer(error);
        return undefined;
      });
    } catch {
      return undefined;
    }
  }
}

/** Names a variant: the words of the request that it was chosen by. */
function fieldOf({ vary }: StoredResponse): string {
  return vary.length === 0 ? '-' : createHash('sha256').update(JSON.stringify(vary)).digest('base64url');
}

/** The length of the JSON, the JSON, the body. */
function encode(entry: Kept, body: readonly Uint8Array[]): Buffer {
  const json = Buffer.from(JSON.stringify(entry));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, ...body]);
}

function decode(value: Buffer): NewCacheEntry | undefined {
  try {
    const end = 4 + value.readUInt32LE();
    const kept = JSON.parse(value.toString('utf8', 4, end)) as Kept;
    return { ...kept, body: [value.subarray(end)] };
  } catch {
    return undefined; // Not ours, or of another version.
  }
}
