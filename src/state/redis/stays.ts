import type { Limits } from '../../plugin/limits.ts';
import { RENEW } from './limit-scripts.ts';
import type { RedisClient } from './open-redis.ts';
import type { RedisLink } from './redis-link.ts';

/** A name in a sorted set of Redis, which forgets it unless it is renewed in time. */
export interface Stay {
  readonly set: string;
  readonly name: string;
  readonly leaseMs: number;
  /** Monotonic ms. */
  renewAt: number;
}

/** So many stays are remembered while Redis is gone; those above that end with their leases. */
const MOST_OWED = 100_000;
/** A server that was frozen reads what old connections still hold before this time has passed. */
const SECOND_TIME_MS = 1000;
/** How often leases are looked at; the shortest is four times as long. */
const TICK_MS = 500;
export const SHORTEST_LEASE_MS = 2000;
/** Names in one command. */
const CHUNK = 1000;

/**
 * Who of this worker is inside which concurrency limit, and who has left while Redis could not be told.
 * Of one key, all stays are worth the same: whoever leaves ends the oldest. Stays last as long as the
 * worker says so: it renews their leases, also in a Redis that has forgotten them, and when it is gone,
 * they soon are.
 */
export class Stays {
  readonly #link: RedisLink;
  readonly #inside = new Map<string, (Stay | Limits)[]>();
  #owed: Stay[] = [];
  #ticker: NodeJS.Timeout | undefined;

  constructor(link: RedisLink) {
    this.#link = link;
    link.onReady(() => this.#settle());
  }

  /** Somebody has entered: in Redis, or in this machine's own Limits. */
  began(key: string, stay: Stay | Limits): void {
    const stays = this.#inside.get(key);
    if (stays === undefined) this.#inside.set(key, [stay]);
    else stays.push(stay);
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  ended(key: string): void {
    const stays = this.#inside.get(key);
    const stay = stays?.shift();
    if (stays?.length === 0) this.#inside.delete(key);
    if (stay === undefined) return;
    if ('leave' in stay) stay.leave(key);
    else this.#remove([stay]);
  }

  /** Somebody was let in or refused without Redis, which may have written the name down, or still will. */
  doubt(stay: Stay): void {
    this.#owe([stay]);
  }

  #tick(): void {
    if (this.#inside.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
    } else if (this.#link.ready) this.#renew(performance.now());
  }

  /** Renews what is due at that time. */
  #renew(now: number): void {
    const due: Stay[] = [];
    for (const stays of this.#inside.values()) {
      for (const stay of stays) {
        if ('leave' in stay || stay.renewAt > now) continue;
        stay.renewAt = performance.now() + stay.leaseMs / 3;
        due.push(stay);
      }
    }
    this.#send(due, (client, set, stays) =>
      RENEW.run(client, set, stays[0].leaseMs, ...stays.map(({ name }) => name)),
    );
  }

  #remove(stays: readonly Stay[]): void {
    this.#send(
      stays,
      (client, set, some) => client.call('zrem', set, ...some.map(({ name }) => name)),
      (some) => this.#owe(some),
    );
  }

  /** One command for each set, or for a thousand names of it. What fails is `missed`. */
  #send(
    stays: readonly Stay[],
    issue: (client: RedisClient, set: string, stays: readonly Stay[]) => Promise<unknown>,
    missed: (stays: readonly Stay[]) => void = () => {},
  ): void {
    for (const [set, all = []] of Map.groupBy(stays, ({ set }) => set)) {
      for (let start = 0; start < all.length; start += CHUNK) {
        const some = all.slice(start, start + CHUNK);
        try {
          this.#link.send(set, (client) => issue(client, set, some)).catch(() => missed(some));
        } catch {
          missed(some);
        }
      }
    }
  }

  #owe(stays: readonly Stay[]): void {
    if (this.#owed.length < MOST_OWED) this.#owed.push(...stays);
  }

  #settle(): void {
    // It may have been away for longer than the leases, or come back without its memory.
    this.#renew(Number.POSITIVE_INFINITY);
    const owed = this.#owed;
    if (owed.length === 0) return;
    this.#owed = [];
    this.#remove(owed);
    // What was sent before and not read yet may write a name down after it was removed.
    setTimeout(() => this.#remove(owed), SECOND_TIME_MS).unref();
  }
}
