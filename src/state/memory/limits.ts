import type { Limits, LimitVerdict } from '../../plugin/limits.ts';
import { Membership } from './membership.ts';
import { monotonic } from './monotonic-clock.ts';
import type { SharedTable } from './shared-table.ts';

const DAY_MS = 86_400_000;

class Verdict implements LimitVerdict {
  allowed = false;
  remaining = 0;
  resetSeconds = 0;
  delaySeconds = 0;
}

class Occupancy {
  allowed = false;
  current = 0;
}

/**
 * Limits kept in a SharedTable: exact across all workers, synchronous, without allocation. Each
 * algorithm hands out the same verdict object again and again; it holds until the next call of the
 * same method in the same thread, so read it at once.
 *
 * What a worker's death can do: what it counted stays counted, though the request may never have
 * passed; of what it was writing, either the old or the new state remains. In no case does a limit
 * let more through than without the death. Only an eviction (SharedTable.evictions) does: the key
 * starts anew.
 *
 * The table needs `wordsFor(membership)` words per slot.
 */
export class MemoryLimits implements Limits {
  /** Words of a slot that the algorithms need: concurrency has one for each worker and the main thread. */
  static wordsFor(membership: Membership): number {
    return Math.max(4, membership.size);
  }

  readonly #table: SharedTable;
  readonly #words: Float64Array;
  /** The same memory as `#words`: concurrency keeps two integers in each. */
  readonly #halves: Int32Array;
  readonly #expiries: Float64Array;
  readonly #stride: number;
  readonly #now: () => number;
  readonly #worker: number;
  readonly #incarnation: number;
  readonly #fixed = new Verdict();
  readonly #sliding = new Verdict();
  readonly #leaky = new Verdict();
  readonly #occupancy = new Occupancy();

  /** `token` names this thread, as it did when the table was opened; `now` gives monotonic ms that all threads agree on. */
  constructor(table: SharedTable, token: number = Membership.MAIN, now: () => number = monotonic) {
    this.#table = table;
    this.#words = table.words;
    this.#halves = new Int32Array(table.words.buffer, table.words.byteOffset, table.words.length * 2);
    this.#expiries = table.expiries;
    this.#stride = table.wordsPerSlot;
    this.#now = now;
    this.#worker = Membership.workerOf(token);
    this.#incarnation = token & 0xffffff;
    if (this.#stride < MemoryLimits.wordsFor(table.membership))
      throw new RangeError('the table has too few words per slot for MemoryLimits');
  }

  /**
   * As APISIX' limit-count with local counters. `resetSeconds` has hundredths, rounded down: the
   * header reads `59.99`. Word 0: the count. The window's end is the entry's expiry.
   */
  fixedWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    const verdict = this.#fixed;
    const now = this.#now();
    const slot = this.#table.acquire(key, now);
    const index = slot * this.#stride;
    const count = this.#words[index] + cost;
    const end = this.#table.fresh ? now + windowSeconds * 1000 : this.#expiries[slot];
    const allowed = count <= limit;
    if (allowed) {
      this.#words[index] = count;
      // A fresh entry whose expiry isn't written yet is none: the count above is forgotten with its
      // writer, and so is the request that it stands for.
      this.#expiries[slot] = end;
    }
    this.#table.release();
    verdict.allowed = allowed;
    verdict.remaining = allowed ? limit - count : 0;
    verdict.resetSeconds = Math.floor((end - now) / 10 + 1e-6) / 100;
    return verdict;
  }

  /**
   * As APISIX 3.18's `window_type: sliding`: windows aligned to the clock; the count of the one
   * before weighs by how much of it the last `windowSeconds` cover. A request is refused when the
   * estimate with its cost would be above the limit (APISIX looks at the estimate before the
   * request only, and can end up to one cost above).
   *
   * Words 0 and 1: the counts of the latest even and odd window; 2 and 3: the numbers of these
   * windows. A count is written before its window's number: half of it belongs to no window.
   */
  slidingWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    const verdict = this.#sliding;
    const now = this.#now();
    const window = windowSeconds * 1000;
    const number = Math.floor(now / window) + 1;
    const left = number * window - now;
    const slot = this.#table.acquire(key, now);
    const words = this.#words;
    const current = slot * this.#stride + (number & 1);
    const before = slot * this.#stride + (~number & 1);
    const count = words[current + 2] === number ? words[current] : 0;
    const previous = words[before + 2] === number - 1 ? Math.min(words[before], limit) : 0;
    const weighted = (previous * left) / window;
    // Counts are whole; what is below a millionth came from the division.
    const allowed = count + weighted + cost <= limit + 1e-6;
    if (allowed) {
      words[current] = count + cost;
      words[current + 2] = number;
      this.#expiries[slot] = (number + 1) * window;
    }
    this.#table.release();
    verdict.allowed = allowed;
    verdict.remaining = allowed ? Math.max(0, Math.floor(limit - count - cost - weighted + 1e-6)) : 0;
    let reset = left;
    // Refused because of the window before: its weight falls until the cost fits.
    if (!allowed && count + cost <= limit && previous > 0)
      reset = left - ((limit - count - cost) * window) / previous;
    verdict.resetSeconds = Math.ceil(Math.max(0, reset) / 10 - 1e-6) / 100;
    return verdict;
  }

  /**
   * As nginx' limit_req and lua-resty-limit-traffic's `resty.limit.req`: each request adds one to
   * an excess that drains by `ratePerSecond`; the first of an idle key adds none. Above `burst` it is
   * refused and adds nothing, else delayed by excess / rate.
   *
   * Word 0: when the excess will have drained (monotonic ms): excess and its time in one number, so
   * that half a write can't be seen.
   */
  leakyBucket(key: string, ratePerSecond: number, burst: number): LimitVerdict {
    const verdict = this.#leaky;
    const now = this.#now();
    const perMs = ratePerSecond / 1000;
    const slot = this.#table.acquire(key, now);
    const index = slot * this.#stride;
    const excess = this.#table.fresh ? 0 : Math.max(0, (this.#words[index] - now) * perMs + 1);
    // A billionth of a request for the way to milliseconds and back.
    const allowed = excess <= burst + 1e-9;
    if (allowed) {
      const drained = now + excess / perMs;
      // Expiry first: an entry that ends before its excess has drained would let one more through.
      this.#expiries[slot] = drained + 1 / perMs;
      this.#words[index] = drained;
    }
    this.#table.release();
    verdict.allowed = allowed;
    verdict.remaining = allowed ? Math.max(0, Math.floor(burst - excess + 1e-9)) : 0;
    verdict.resetSeconds = (allowed ? excess : excess - burst) / ratePerSecond;
    verdict.delaySeconds = allowed ? excess / ratePerSecond : 0;
    return verdict;
  }

  /**
   * Each word holds one worker's part: how many it has inside, and in which incarnation. Parts of
   * dead incarnations count as nothing, so a dead worker's entries are given back by its dismissal
   * alone. A key is forgotten when nobody entered or left for a day.
   */
  enter(key: string, maximum: number): { readonly allowed: boolean; readonly current: number } {
    const occupancy = this.#occupancy;
    const now = this.#now();
    const slot = this.#table.acquire(key, now);
    const inside = this.#inside(slot);
    const allowed = inside < maximum;
    if (allowed) {
      // Expiry first, so that the part never stands in an expired entry while its owner lives.
      this.#expiries[slot] = now + DAY_MS;
      const part = (slot * this.#stride + this.#worker) * 2;
      const mine = this.#halves[part + 1] === this.#incarnation ? this.#halves[part] : 0;
      this.#halves[part] = mine + 1;
      this.#halves[part + 1] = this.#incarnation;
    }
    this.#table.release();
    occupancy.allowed = allowed;
    occupancy.current = allowed ? inside + 1 : inside;
    return occupancy;
  }

  /** To be called once, in the same worker, for each `enter` that was allowed. */
  leave(key: string): void {
    const now = this.#now();
    const slot = this.#table.find(key, now);
    if (slot < 0) return;
    const part = (slot * this.#stride + this.#worker) * 2;
    if (this.#halves[part + 1] === this.#incarnation && this.#halves[part] > 0) this.#halves[part]--;
    this.#expiries[slot] = this.#inside(slot) === 0 ? Number.NEGATIVE_INFINITY : now + DAY_MS;
    this.#table.release();
  }

  /**
   * For the supervisor, in a worker's 'exit' event: what it had inside is outside now, and locks it
   * held can be taken over.
   */
  releaseWorker(worker: number): void {
    this.#table.membership.dismiss(worker);
  }

  #inside(slot: number): number {
    const membership = this.#table.membership;
    let inside = 0;
    let part = slot * this.#stride * 2;
    for (let worker = 0; worker < membership.size; worker++, part += 2) {
      const count = this.#halves[part];
      if (count !== 0 && membership.lives(Membership.token(worker, this.#halves[part + 1]))) inside += count;
    }
    return inside;
  }
}
