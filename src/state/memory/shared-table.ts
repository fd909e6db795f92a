import { randomFillSync } from 'node:crypto';
import { isMainThread } from 'node:worker_threads';
import { KeyedHash } from '../../lib/keyed-hash.ts';
import { Membership } from './membership.ts';

// The buffer, from its start:
//
//   header     16 × int32     slots, words per slot, evictions, takeovers, -, -, -, -, seed (4), …
//   locks      16 × int32     per bucket; only the first is used, a cache line each
//   tags        1 × int32     per slot: first word of the key's hash, 0 where the slot is free
//   rest        2 × int32     per slot: the other two words of the hash
//   expiries    1 × float64   per slot: monotonic ms; at or before now means as good as free
//   words       n × float64   per slot: the caller's state
//
// Slots stand in buckets of WAYS. A key lives in the bucket that its hash names, in any way, and
// one lock guards a bucket: finding, making and evicting an entry are then one critical section,
// and two workers can't make two entries for one key. With a lock per slot they could.

const HEADER = 16;
const SLOTS = 0;
const WORDS = 1;
const EVICTIONS = 2;
const TAKEOVERS = 3;
const SEED = 8;
/** Half full, one bucket in ten thousand is over-full (Poisson with mean 16, more than 32). */
const WAYS = 32;
const LINE = 16;
const SPINS = 1000;
const MAIN_THREAD_PATIENCE_MS = 1000;

export interface SharedTableOptions {
  /** Entries at most; rounded up to a power of two. */
  readonly slots?: number;
  /** Float64 state words of an entry. */
  readonly words?: number;
}

/**
 * A hash table in shared memory that all workers use at once: string keys, a few float64 words of
 * state, and an expiry. Of a key only its hash is kept, keyed with a random seed; see KeyedHash for
 * the bound on collisions (two keys that did collide would share an entry).
 *
 * `acquire` or `find` enters a critical section around one entry, `release` leaves it. In between,
 * the caller reads and writes `words[slot * wordsPerSlot + i]` and `expiries[slot]`; it must not
 * await, throw, or acquire another entry.
 *
 * A worker may be terminated anywhere, also in the critical section. Then a waiter takes its lock
 * over once the Membership says that the owner is dead, and finds the entry as far as it was
 * written. Callers choose the order of their writes for that (each says so where it writes); the
 * table's own: a new entry gets its tag last and starts expired, and an expired entry's words are
 * zeroed before the caller sees them, so that half an entry counts as none.
 *
 * A full bucket gives up an expired entry, else the one nearest to its expiry; the latter is
 * counted in `evictions`, because a limit that is forgotten lets more through.
 */
export class SharedTable {
  static allocate(options: SharedTableOptions = {}): SharedArrayBuffer {
    const slots = Math.max(WAYS, 2 ** Math.ceil(Math.log2(options.slots ?? 65_536)));
    const words = options.words ?? 4;
    if (!Number.isSafeInteger(slots * words)) throw new RangeError('slots and words must be integers');
    const ints = HEADER + (slots / WAYS) * LINE + slots * 3;
    const buffer = new SharedArrayBuffer(ints * 4 + slots * (1 + words) * 8);
    const header = new Int32Array(buffer, 0, HEADER);
    header[SLOTS] = slots;
    header[WORDS] = words;
    header.set(randomFillSync(new Int32Array(KeyedHash.KEY_WORDS)), SEED);
    return buffer;
  }

  readonly wordsPerSlot: number;
  readonly words: Float64Array<SharedArrayBuffer>;
  readonly expiries: Float64Array<SharedArrayBuffer>;
  /** Whether the last `acquire` made the entry (or found it expired): its words are then zero. */
  fresh = false;

  readonly membership: Membership;
  readonly #token: number;
  readonly #hash: KeyedHash;
  readonly #bucketMask: number;
  readonly #header: Int32Array<SharedArrayBuffer>;
  readonly #locks: Int32Array<SharedArrayBuffer>;
  readonly #tags: Int32Array<SharedArrayBuffer>;
  readonly #rest: Int32Array<SharedArrayBuffer>;
  #held = 0;

  /** Opens a table in this thread, which `token` names (Membership.token). */
  constructor(buffer: SharedArrayBuffer, membership: Membership, token: number = Membership.MAIN) {
    this.membership = membership;
    this.#token = token;
    this.#header = new Int32Array(buffer, 0, HEADER);
    const slots = this.#header[SLOTS];
    const buckets = slots / WAYS;
    this.wordsPerSlot = this.#header[WORDS];
    this.#bucketMask = buckets - 1;
    this.#hash = new KeyedHash(this.#header.subarray(SEED, SEED + KeyedHash.KEY_WORDS));
    let offset = HEADER * 4;
    this.#locks = new Int32Array(buffer, offset, buckets * LINE);
    this.#tags = new Int32Array(buffer, (offset += buckets * LINE * 4), slots);
    this.#rest = new Int32Array(buffer, (offset += slots * 4), slots * 2);
    this.expiries = new Float64Array(buffer, (offset += slots * 8), slots);
    this.words = new Float64Array(buffer, offset + slots * 8, slots * this.wordsPerSlot);
  }

  /** Unexpired entries that had to give way. */
  get evictions(): number {
    return Atomics.load(this.#header, EVICTIONS) >>> 0;
  }

  /** Locks that were taken over from dead workers. */
  get takeovers(): number {
    return Atomics.load(this.#header, TAKEOVERS) >>> 0;
  }

  get slots(): number {
    return this.#header[SLOTS];
  }

  /**
   * Enters the critical section of a key's entry and returns its slot; makes the entry where there
   * is none (then `fresh`). An entry lasts until its expiry, which the caller sets.
   */
  acquire(key: string, now: number): number {
    this.#hash.of(key);
    const tag = this.#hash.a || 1;
    const b = this.#hash.b;
    const c = this.#hash.c;
    const bucket = c & this.#bucketMask;
    this.#lock(bucket * LINE);
    const first = bucket * WAYS;
    const tags = this.#tags;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (tags[slot] !== tag || this.#rest[slot * 2] !== b || this.#rest[slot * 2 + 1] !== c) continue;
      if ((this.fresh = this.expiries[slot] <= now)) this.#clear(slot);
      return slot;
    }
    const slot = this.#victim(first, now);
    tags[slot] = 0;
    this.expiries[slot] = Number.NEGATIVE_INFINITY;
    this.#clear(slot);
    this.#rest[slot * 2] = b;
    this.#rest[slot * 2 + 1] = c;
    tags[slot] = tag;
    this.fresh = true;
    return slot;
  }

  /** Enters the critical section of an existing, unexpired entry; -1 where there is none, with nothing to release. */
  find(key: string, now: number): number {
    this.#hash.of(key);
    const tag = this.#hash.a || 1;
    const b = this.#hash.b;
    const c = this.#hash.c;
    const bucket = c & this.#bucketMask;
    this.#lock(bucket * LINE);
    for (let slot = bucket * WAYS; slot < (bucket + 1) * WAYS; slot++) {
      if (this.#tags[slot] !== tag || this.#rest[slot * 2] !== b || this.#rest[slot * 2 + 1] !== c) continue;
      if (this.expiries[slot] <= now) break;
      return slot;
    }
    this.release();
    return -1;
  }

  /** Leaves the critical section. */
  release(): void {
    Atomics.store(this.#locks, this.#held, 0);
  }

  /** A 32-bit mark of the key that a slot holds, 0 for none; readable without entering. */
  tagOf(slot: number): number {
    return this.#tags[slot];
  }

  #clear(slot: number): void {
    const end = (slot + 1) * this.wordsPerSlot;
    for (let i = slot * this.wordsPerSlot; i < end; i++) this.words[i] = 0;
  }

  #victim(first: number, now: number): number {
    let nearest = first;
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#tags[slot] === 0) return slot;
      if (this.expiries[slot] < this.expiries[nearest]) nearest = slot;
    }
    if (this.expiries[nearest] > now) Atomics.add(this.#header, EVICTIONS, 1);
    return nearest;
  }

  #lock(index: number): void {
    this.#held = index;
    if (Atomics.compareExchange(this.#locks, index, 0, this.#token) !== 0) this.#wait(index);
  }

  #wait(index: number): void {
    const locks = this.#locks;
    const start = performance.now();
    for (let round = 1; ; round++) {
      for (let spin = 0; spin < SPINS; spin++) {
        if (Atomics.load(locks, index) !== 0) continue;
        if (Atomics.compareExchange(locks, index, 0, this.#token) === 0) return;
      }
      // The owner was descheduled, or it died inside. Our own token means that an earlier call of
      // this thread never released: nobody is inside.
      const owner = Atomics.load(locks, index);
      if (owner === 0) continue;
      if (owner === this.#token || !this.membership.lives(owner)) {
        if (Atomics.compareExchange(locks, index, owner, this.#token) !== owner) continue;
        Atomics.add(this.#header, TAKEOVERS, 1);
        return;
      }
      // The main thread is the one that learns of a worker's end, in an event that can't come while
      // it waits here; it must get out.
      if (isMainThread) {
        if (performance.now() - start > MAIN_THREAD_PATIENCE_MS)
          throw new Error(`shared table: worker ${Membership.workerOf(owner)} holds a lock for too long`);
      } else Atomics.wait(locks, index, owner, Math.min(1, 0.05 * round));
    }
  }
}
