import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Cache } from '../../plugin/cache.ts';
import type { Logger } from '../../plugin/kit.ts';
import { redisSettings } from '../../plugin/redis-settings.ts';
import type { RedisLinks } from '../redis/redis-links.ts';
import { MemoryBodies } from './cache-bodies.ts';
import { CacheZone } from './cache-zone.ts';
import { DiskBodies } from './disk-bodies.ts';
import { FlightClaims } from './flight-claims.ts';
import { LONGEST_MS, RedisZone } from './redis-zone.ts';
import { ThreadChannel } from './thread-channel.ts';

/** A zone as the settings have it. */
export interface ZoneSettings {
  readonly name: string;
  readonly memory_bytes: number;
  readonly disk_path?: string;
  readonly disk_bytes?: number;
  readonly redis_host?: string;
  readonly redis_port?: number;
  readonly redis_username?: string;
  readonly redis_password?: string;
  readonly redis_database?: number;
  readonly redis_ssl?: boolean;
  readonly redis_ssl_verify?: boolean;
  readonly redis_decision_timeout?: number;
}

export interface CacheZonesOptions {
  readonly settings: readonly ZoneSettings[];
  readonly worker: number;
  readonly workers: number;
  /** Names the channel of this gateway's threads; undefined where there is one thread. */
  readonly channel: string | undefined;
  /** Made by FlightClaims; undefined where there is one worker. */
  readonly claims?: SharedArrayBuffer | undefined;
  readonly log: Logger;
  /** For zones that are shared through Redis; absent: they are this machine's alone. */
  readonly redis?: Pick<RedisLinks, 'acquire'>;
}

/** The zones of one worker, each opened when it is first asked for. */
export class CacheZones {
  readonly #options: CacheZonesOptions;
  readonly #open = new Map<string, Cache>();
  #channel: ThreadChannel | undefined;
  #claims: FlightClaims | undefined;

  constructor(options: CacheZonesOptions) {
    this.#options = options;
    // What is on disk from before must hear of purges, also before anybody asks for it.
    for (const { name, disk_path: folder } of options.settings)
      if (folder !== undefined && existsSync(folder)) this.zone(name);
  }

  /** undefined when no zone has that name. */
  zone(name: string): Cache | undefined {
    const open = this.#open.get(name);
    if (open !== undefined) return open;
    const settings = this.#options.settings.find((zone) => zone.name === name);
    if (settings === undefined) return undefined;
    const zone = this.#make(settings);
    this.#open.set(name, zone);
    return zone;
  }

  close(): void {
    this.#channel?.close();
  }

  #make(settings: ZoneSettings): Cache {
    const { name, memory_bytes: memory, disk_path: folder, disk_bytes: disk = 0 } = settings;
    const { worker, workers, channel, claims, log } = this.#options;
    if (claims !== undefined) this.#claims ??= new FlightClaims(claims, worker);
    if (channel !== undefined) this.#channel ??= new ThreadChannel(channel);
    const share = (bytes: number) => Math.floor(bytes / workers);
    const options = { name, worker, workers, channel: this.#channel, claims: this.#claims, now: Date.now };
    if (folder === undefined) {
      const { redis } = this.#options;
      const bodies = new MemoryBodies(share(memory));
      const inMemory = { ...options, bodies, indexLimit: undefined };
      if (settings.redis_host === undefined || redis === undefined) return new CacheZone(inMemory);
      const { link } = redis.acquire(redisSettings({ policy: 'redis', ...settings }));
      return new RedisZone(
        new CacheZone({ ...inMemory, rememberMs: LONGEST_MS }),
        link,
        channel ?? randomUUID(),
        Date.now,
      );
    }
    const bodies = new DiskBodies({ folder, limit: share(disk), log });
    const zone = new CacheZone({ ...options, bodies, indexLimit: share(memory) });
    // Workers that are no more have an heir.
    const mine = (owner: number) => owner === worker || (worker === 1 && owner > workers);
    void takeIn(zone, bodies, mine, worker);
    return zone;
  }
}

async function takeIn(
  zone: CacheZone,
  bodies: DiskBodies,
  mine: (owner: number) => boolean,
  worker: number,
): Promise<void> {
  for await (const entry of bodies.load(mine)) zone.adopt({ ...entry, owner: worker });
}
