import type { Limits, LimitVerdict } from '../../plugin/limits.ts';
import { MemoryLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { SharedTable } from './shared-table.ts';

/** Keys that one request may ask for before the first ones are forgotten. */
const SLOTS = 128;

/**
 * Limits that decide as the shared ones would at this moment, and count nothing there: what a key
 * holds is copied once into a table of its own, and MemoryLimits work on that. For one evaluation.
 */
export class PeekingLimits implements Limits {
  readonly #shared: SharedTable;
  readonly #own: SharedTable;
  readonly #limits: MemoryLimits;
  readonly #now: () => number;
  readonly #copied = new Set<string>();

  /** `now` gives monotonic ms on the clock of the shared table; it may stand still. */
  constructor(shared: SharedTable, now: () => number) {
    this.#shared = shared;
    this.#now = now;
    const { membership, wordsPerSlot: words } = shared;
    this.#own = new SharedTable(SharedTable.allocate({ slots: SLOTS, words }), membership);
    this.#limits = new MemoryLimits(this.#own, Membership.MAIN, now);
  }

  fixedWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    this.#copy(key);
    return this.#limits.fixedWindow(key, limit, windowSeconds, cost);
  }

  slidingWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    this.#copy(key);
    return this.#limits.slidingWindow(key, limit, windowSeconds, cost);
  }

  leakyBucket(key: string, ratePerSecond: number, burst: number): LimitVerdict {
    this.#copy(key);
    return this.#limits.leakyBucket(key, ratePerSecond, burst);
  }

  enter(key: string, maximum: number): { readonly allowed: boolean; readonly current: number } {
    this.#copy(key);
    return this.#limits.enter(key, maximum);
  }

  leave(key: string): void {
    this.#copy(key);
    this.#limits.leave(key);
  }

  #copy(key: string): void {
    if (this.#copied.has(key)) return;
    this.#copied.add(key);
    const now = this.#now();
    const { wordsPerSlot: stride, words, expiries } = this.#shared;
    const found = this.#shared.find(key, now);
    if (found < 0) return;
    const copy = words.slice(found * stride, (found + 1) * stride);
    const expiry = expiries[found];
    this.#shared.release();
    const slot = this.#own.acquire(key, now);
    this.#own.words.set(copy, slot * stride);
    this.#own.expiries[slot] = expiry;
    this.#own.release();
  }
}
