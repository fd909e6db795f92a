import type {
  Admission,
  BreakerOutcome,
  BreakerPolicy,
  BreakerState,
  Breakers,
  CountPolicy,
  RatioPolicy,
} from '../../plugin/breakers.ts';
import { monotonic } from './monotonic-clock.ts';
import type { SharedTable } from './shared-table.ts';

// Words of the count policy.
const FAILURES = 0;
const SUCCESSES = 1;
/** When it last opened, monotonic ms; 0 for never. */
const OPENED_AT = 2;

// Words of the ratio policy.
const STATE = 0;
/** Open: when probes may begin. Half-open: when probes that never reported count no longer. */
const UNTIL = 1;
/** Grows with each time that it opens or half-opens: what was admitted before doesn't count after. */
const GENERATION = 2;
const PROBES = 3;
const COMPLETED = 4;
const SUCCEEDED = 5;
/** The window that runs, and the one before it. */
const WINDOW_END = 6;
const REQUESTS = 7;
const FAILED = 8;
const REQUESTS_BEFORE = 9;
const FAILED_BEFORE = 10;

const CLOSED = 0;
const OPEN = 1;
const HALF_OPEN = 2;

/** A probe whose worker died is waited for no longer than this, and no shorter than it stays open. */
const PROBE_PATIENCE_MS = 60_000;
const LIFETIME_MS = 3_600_000;

/**
 * Breakers in a SharedTable: exact across all workers, synchronous. A worker that dies between two
 * writes leaves one request uncounted or a probe that is replaced after its patience. An entry that
 * had to give way (SharedTable.evictions) is a closed breaker.
 *
 * With `readOnly`, for an evaluation, `admit` says what it would say and changes nothing.
 */
export class SharedBreakers implements Breakers {
  static readonly WORDS = 11;

  readonly #table: SharedTable;
  readonly #words: Float64Array;
  readonly #now: () => number;
  readonly #readOnly: boolean;

  constructor(table: SharedTable, now: () => number = monotonic, { readOnly = false } = {}) {
    if (table.wordsPerSlot < SharedBreakers.WORDS)
      throw new RangeError('the table has too few words per slot');
    this.#table = table;
    this.#words = table.words;
    this.#now = now;
    this.#readOnly = readOnly;
  }

  admit(key: string, policy: BreakerPolicy): Admission {
    const now = this.#now();
    const slot = this.#table.find(key, now);
    // Nothing has failed yet.
    if (slot < 0) return 0;
    const at = slot * this.#table.wordsPerSlot;
    const admission =
      policy.type === 'count' ? this.#admitByCount(at, policy, now) : this.#admitByRatio(at, policy, now);
    this.#table.release();
    return admission;
  }

  /** How a breaker of the ratio policy stands; nothing comes of the question. */
  stateOf(key: string): BreakerState {
    const now = this.#now();
    const slot = this.#table.find(key, now);
    if (slot < 0) return 'closed';
    const at = slot * this.#table.wordsPerSlot;
    const state = this.#words[at + STATE];
    const due = this.#words[at + UNTIL] <= now;
    this.#table.release();
    if (state === CLOSED) return 'closed';
    return state === HALF_OPEN || due ? 'half-open' : 'open';
  }

  report(
    key: string,
    policy: BreakerPolicy,
    admission: Admission,
    outcome: BreakerOutcome,
  ): BreakerState | undefined {
    if (this.#readOnly || (outcome === 'none' && admission === 0)) return undefined;
    const now = this.#now();
    if (policy.type === 'count') return this.#reportCount(key, policy, outcome, now);
    const slot = this.#table.acquire(key, now);
    const at = slot * this.#table.wordsPerSlot;
    // It has to live as long as it may stay open or look back, and then a while.
    this.#table.expiries[slot] = now + Math.max(LIFETIME_MS, policy.windowMs * 2, policy.openMs * 4);
    const before = this.#words[at + STATE];
    if (admission < 0) this.#reportProbe(at, policy, admission, outcome, now);
    else if (before === CLOSED && outcome !== 'none') this.#count(at, policy, outcome, now);
    const after = this.#words[at + STATE];
    this.#table.release();
    if (before === after) return undefined;
    return after === OPEN ? 'open' : 'closed';
  }

  #admitByCount(at: number, { failures, longestMs }: CountPolicy, now: number): Admission {
    const words = this.#words;
    const openedAt = words[at + OPENED_AT];
    if (openedAt === 0) return 0;
    const times = Math.max(1, Math.floor(words[at + FAILURES] / failures));
    // 2, 4, 8 … seconds, as in APISIX.
    const openMs = Math.min(2 ** Math.min(times, 30) * 1000, longestMs);
    return Math.max(0, openedAt + openMs - now);
  }

  #reportCount(
    key: string,
    policy: CountPolicy,
    outcome: BreakerOutcome,
    now: number,
  ): BreakerState | undefined {
    if (outcome !== 'failure' && outcome !== 'success') return undefined;
    // A success where nothing has failed makes no entry.
    const slot = outcome === 'failure' ? this.#table.acquire(key, now) : this.#table.find(key, now);
    if (slot < 0) return undefined;
    const at = slot * this.#table.wordsPerSlot;
    const words = this.#words;
    let change: BreakerState | undefined;
    if (outcome === 'failure') {
      this.#table.expiries[slot] = now + Math.max(LIFETIME_MS, policy.longestMs * 2);
      words[at + SUCCESSES] = 0;
      if (++words[at + FAILURES] % policy.failures === 0) {
        words[at + OPENED_AT] = now;
        change = 'open';
      }
    } else if (++words[at + SUCCESSES] >= policy.successes) {
      if (words[at + OPENED_AT] > 0) change = 'closed';
      this.#table.expiries[slot] = Number.NEGATIVE_INFINITY;
    }
    this.#table.release();
    return change;
  }

  #admitByRatio(at: number, policy: RatioPolicy, now: number): Admission {
    const words = this.#words;
    const state = words[at + STATE];
    if (state === CLOSED) return 0;
    const left = words[at + UNTIL] - now;
    if (state === HALF_OPEN && left > 0) {
      // Full: until one of the probes has reported, which nobody can foretell.
      if (words[at + PROBES] >= policy.probes) return Math.min(left, 1000);
      if (!this.#readOnly) words[at + PROBES]++;
      return -words[at + GENERATION];
    }
    if (left > 0) return left;
    const generation = words[at + GENERATION] + 1;
    if (!this.#readOnly) {
      words[at + GENERATION] = generation;
      words[at + COMPLETED] = words[at + SUCCEEDED] = 0;
      words[at + PROBES] = 1;
      words[at + UNTIL] = now + Math.max(PROBE_PATIENCE_MS, policy.openMs);
      words[at + STATE] = HALF_OPEN;
    }
    return -generation;
  }

  #reportProbe(at: number, policy: RatioPolicy, probe: number, outcome: BreakerOutcome, now: number): void {
    const words = this.#words;
    if (words[at + STATE] !== HALF_OPEN || words[at + GENERATION] !== -probe) return;
    if (outcome === 'none') {
      words[at + PROBES]--;
      return;
    }
    if (outcome === 'failure') return this.#open(at, policy, now);
    words[at + COMPLETED]++;
    if (outcome === 'success') words[at + SUCCEEDED]++;
    if (words[at + COMPLETED] < policy.probes) return;
    if (words[at + SUCCEEDED] / words[at + COMPLETED] < policy.successRatio)
      return this.#open(at, policy, now);
    // What failed before must not open it again.
    words[at + WINDOW_END] = Number.NEGATIVE_INFINITY;
    words[at + STATE] = CLOSED;
  }

  #open(at: number, policy: RatioPolicy, now: number): void {
    const words = this.#words;
    words[at + GENERATION]++;
    words[at + UNTIL] = now + policy.openMs;
    words[at + STATE] = OPEN;
  }

  /** Two windows stand for one that slides: the older weighs by how much of it is still covered. */
  #count(at: number, policy: RatioPolicy, outcome: BreakerOutcome, now: number): void {
    const words = this.#words;
    const { windowMs } = policy;
    if (now >= words[at + WINDOW_END] + windowMs) {
      words[at + REQUESTS_BEFORE] = words[at + FAILED_BEFORE] = words[at + REQUESTS] = words[at + FAILED] = 0;
      words[at + WINDOW_END] = now + windowMs;
    } else if (now >= words[at + WINDOW_END]) {
      words[at + REQUESTS_BEFORE] = words[at + REQUESTS];
      words[at + FAILED_BEFORE] = words[at + FAILED];
      words[at + REQUESTS] = words[at + FAILED] = 0;
      words[at + WINDOW_END] += windowMs;
    }
    words[at + REQUESTS]++;
    if (outcome === 'failure') words[at + FAILED]++;
    const weight = (words[at + WINDOW_END] - now) / windowMs;
    const requests = words[at + REQUESTS] + words[at + REQUESTS_BEFORE] * weight;
    const failed = words[at + FAILED] + words[at + FAILED_BEFORE] * weight;
    if (requests >= policy.minRequests && failed > 0 && failed / requests >= policy.failureRatio)
      this.#open(at, policy, now);
  }
}
