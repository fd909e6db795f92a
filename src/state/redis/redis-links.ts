import type { RedisSettings } from '../../plugin/redis-settings.ts';
import { RedisLink, type RedisSurroundings } from './redis-link.ts';
import { Stays } from './stays.ts';

/** Between a reload and the first request after it nobody uses a link; it stays for so long. */
const IDLE_MS = 30_000;

interface Entry {
  readonly link: RedisLink;
  readonly stays: Stays;
  users: number;
  idle: NodeJS.Timeout | undefined;
}

export interface Acquired {
  readonly link: RedisLink;
  readonly stays: Stays;
  release(): void;
}

/** A worker's links, one for each different way to reach a Redis. They outlive a Runtime. */
export class RedisLinks {
  readonly #surroundings: RedisSurroundings;
  readonly #idleMs: number;
  readonly #entries = new Map<string, Entry>();

  constructor(surroundings: RedisSurroundings, idleMs: number = IDLE_MS) {
    this.#surroundings = surroundings;
    this.#idleMs = idleMs;
  }

  /** The link with these settings, connected or about to be. Each `acquire` wants one `release`. */
  acquire(settings: RedisSettings): Acquired {
    // All settings are read in one place, so that the same ones have the same text.
    const key = JSON.stringify(settings);
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const link = new RedisLink(settings, this.#surroundings);
      entry = { link, stays: new Stays(link), users: 0, idle: undefined };
      this.#entries.set(key, entry);
    }
    clearTimeout(entry.idle);
    entry.users++;
    return { link: entry.link, stays: entry.stays, release: () => this.#release(key, entry) };
  }

  /** How many there are, used or not. */
  get size(): number {
    return this.#entries.size;
  }

  /** How many of the used ones are answered now, and how many are not. */
  count(): { ready: number; down: number } {
    const counts = { ready: 0, down: 0 };
    for (const { link, users } of this.#entries.values()) {
      if (users > 0) counts[link.ready ? 'ready' : 'down']++;
    }
    return counts;
  }

  close(): void {
    for (const { link, idle } of this.#entries.values()) {
      clearTimeout(idle);
      link.close();
    }
    this.#entries.clear();
  }

  #release(key: string, entry: Entry): void {
    if (--entry.users > 0) return;
    entry.idle = setTimeout(() => {
      this.#entries.delete(key);
      entry.link.close();
    }, this.#idleMs).unref();
  }
}
