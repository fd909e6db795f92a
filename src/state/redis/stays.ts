import type { Limits } from '../../plugin/limits.ts';
import type { RedisLink } from './redis-link.ts';

/** A name in a sorted set of Redis. */
export interface Stay {
  readonly set: string;
  readonly name: string;
}

/** So many stays are remembered while Redis is gone; what is above that is forgotten by its time to live. */
const MOST_OWED = 100_000;
/** A server that was frozen reads what old connections still hold before this time has passed. */
const SECOND_TIME_MS = 1000;

/**
 * Who of this worker is inside which concurrency limit, and who has left while Redis could not be told.
 * Of one key, all stays are worth the same: whoever leaves ends the oldest.
 */
export class Stays {
  readonly #link: RedisLink;
  readonly #inside = new Map<string, (Stay | Limits)[]>();
  #owed: Stay[] = [];

  constructor(link: RedisLink) {
    this.#link = link;
    link.onReady(() => this.#settle());
  }

  /** Somebody has entered: in Redis, or in this machine's own Limits. */
  began(key: string, stay: Stay | Limits): void {
    const stays = this.#inside.get(key);
    if (stays === undefined) this.#inside.set(key, [stay]);
    else stays.push(stay);
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

  #remove(stays: readonly Stay[]): void {
    const bySet = new Map<string, string[]>();
    for (const { set, name } of stays) {
      const names = bySet.get(set);
      if (names === undefined) bySet.set(set, [name]);
      else names.push(name);
    }
    for (const [set, names] of bySet) {
      const owe = (): void => this.#owe(names.map((name) => ({ set, name })));
      try {
        this.#link.send(set, (client) => client.call('zrem', set, ...names)).catch(owe);
      } catch {
        owe();
      }
    }
  }

  #owe(stays: readonly Stay[]): void {
    if (this.#owed.length < MOST_OWED) this.#owed.push(...stays);
  }

  #settle(): void {
    const owed = this.#owed;
    if (owed.length === 0) return;
    this.#owed = [];
    this.#remove(owed);
    // What was sent before and not read yet may write a name down after it was removed.
    setTimeout(() => this.#remove(owed), SECOND_TIME_MS).unref();
  }
}
