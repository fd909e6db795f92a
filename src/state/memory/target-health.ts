import { monotonic } from './monotonic-clock.ts';
import type { SharedTable } from './shared-table.ts';

// The words of an entry.
/** 0 for a Target of which nothing bad is known: one look says that a success is no news. */
const MARKED = 0;
const UNHEALTHY = 1;
const SUCCESSES = 2;
const TCP_FAILURES = 3;
const HTTP_FAILURES = 4;
const TIMEOUTS = 5;
/** When an unhealthy one may be tried again, monotonic ms; 0 when only checks bring it back. */
const EJECTED_UNTIL = 6;
const EJECTIONS = 7;
/** When it last became healthy or unhealthy, monotonic ms; 0 for never. */
const CHANGED_AT = 8;
/** When it began to warm up, monotonic ms; 0 when it was always warm. */
const WARMING_SINCE = 9;

const LIFETIME_MS = 30 * 86_400_000;

export type HealthEvent = 'success' | 'tcp_failure' | 'http_failure' | 'timeout';

/** How many of an event in a row change a Target's status; 0: the event is not counted. */
export type HealthThresholds = Readonly<Record<HealthEvent, number>>;

/** For how long a Target is passed over that no probe brings back. */
export interface Ejection {
  readonly firstMs: number;
  readonly longestMs: number;
}

const COUNTERS: Readonly<Record<HealthEvent, number>> = {
  success: SUCCESSES,
  tcp_failure: TCP_FAILURES,
  http_failure: HTTP_FAILURES,
  timeout: TIMEOUTS,
};

/** lua-resty-healthcheck's words: `mostly_` while the other status draws near. */
export type HealthStatus = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy';

/** What is known of one Target of one Upstream. */
export interface TargetHealth {
  readonly unhealthy: boolean;
  readonly ejectedUntil: number;
  readonly warmingSince: number;
  /** Returns whether the status has changed. */
  report(event: HealthEvent, thresholds: HealthThresholds, ejection?: Ejection): boolean;
}

/** Where what is known of Targets is found, by Upstream and Target key. */
export interface HealthSource {
  /** Another number whenever some Target's standing may have changed. */
  readonly version: number;
  /** Monotonic ms. */
  now(): number;
  target(upstream: string, target: string): TargetHealth;
}

/**
 * What is known of Targets, in a SharedTable: one entry for all workers, which outlives reloads and
 * the death of a worker. One that dies between two writes leaves an event half counted; the next
 * events put that right.
 */
export class SharedHealth implements HealthSource {
  static readonly WORDS = 10;

  readonly #table: SharedTable;
  readonly #version: Int32Array;
  readonly #readOnly: boolean;
  readonly now: () => number;

  /** With `readOnly`, for an evaluation, nothing is written, not even an empty entry. */
  constructor(
    table: SharedTable,
    version: SharedArrayBuffer,
    now: () => number = monotonic,
    { readOnly = false } = {},
  ) {
    if (table.wordsPerSlot < SharedHealth.WORDS) throw new RangeError('the table has too few words per slot');
    this.#table = table;
    this.#version = new Int32Array(version);
    this.now = now;
    this.#readOnly = readOnly;
  }

  get version(): number {
    return Atomics.load(this.#version, 0);
  }

  target(upstream: string, target: string): SharedTargetHealth {
    return new SharedTargetHealth(
      this.#table,
      this.#version,
      `${upstream} ${target}`,
      this.now,
      this.#readOnly,
    );
  }
}

/** One entry. To be resolved when the configuration changes; a look is then two reads of memory. */
export class SharedTargetHealth implements TargetHealth {
  readonly #table: SharedTable;
  readonly #words: Float64Array;
  readonly #version: Int32Array;
  readonly #key: string;
  readonly #now: () => number;
  readonly #readOnly: boolean;
  #slot = -1;
  #tag = 0;
  #looked = -1;

  constructor(table: SharedTable, version: Int32Array, key: string, now: () => number, readOnly: boolean) {
    this.#table = table;
    this.#words = table.words;
    this.#version = version;
    this.#key = key;
    this.#now = now;
    this.#readOnly = readOnly;
    this.#locate();
  }

  get unhealthy(): boolean {
    return this.#word(UNHEALTHY) === 1;
  }

  get ejectedUntil(): number {
    return this.#word(EJECTED_UNTIL);
  }

  get warmingSince(): number {
    return this.#word(WARMING_SINCE);
  }

  get changedAt(): number {
    return this.#word(CHANGED_AT);
  }

  get status(): HealthStatus {
    if (!this.unhealthy) return this.#word(MARKED) === 0 ? 'healthy' : 'mostly_healthy';
    const until = this.ejectedUntil;
    const onTrial = until > 0 && this.#now() >= until;
    return onTrial || this.#word(SUCCESSES) > 0 ? 'mostly_unhealthy' : 'unhealthy';
  }

  /** The counters under lua-resty-healthcheck's names. */
  get counter() {
    return {
      success: this.#word(SUCCESSES),
      tcp_failure: this.#word(TCP_FAILURES),
      http_failure: this.#word(HTTP_FAILURES),
      timeout_failure: this.#word(TIMEOUTS),
    };
  }

  report(event: HealthEvent, thresholds: HealthThresholds, ejection?: Ejection): boolean {
    const limit = thresholds[event];
    if (limit === 0 || this.#readOnly) return false;
    const success = event === 'success';
    // What is no news is not written: most of what is reported.
    if (success && this.#word(MARKED) === 0) return false;
    if (!success && ejection === undefined && this.unhealthy && this.#word(SUCCESSES) === 0) return false;
    const now = this.#now();
    const at = this.#enter(now);
    const words = this.#words;
    const changed = success
      ? this.#succeed(at, limit, now)
      : this.#failOnce(at, COUNTERS[event], limit, ejection, now);
    words[at + MARKED] =
      words[at + UNHEALTHY] + words[at + TCP_FAILURES] + words[at + HTTP_FAILURES] + words[at + TIMEOUTS] > 0
        ? 1
        : 0;
    this.#table.release();
    if (changed) Atomics.add(this.#version, 0, 1);
    return changed;
  }

  /** It gets its share bit by bit from now on. */
  warmUp(): void {
    const now = this.#now();
    this.#words[this.#enter(now) + WARMING_SINCE] = now;
    this.#table.release();
    Atomics.add(this.#version, 0, 1);
  }

  /** Whoever has this name next begins with nothing known. */
  forget(): void {
    const slot = this.#table.find(this.#key, this.#now());
    if (slot < 0) return;
    const at = slot * this.#table.wordsPerSlot;
    this.#words.fill(0, at, at + SharedHealth.WORDS);
    this.#table.expiries[slot] = Number.NEGATIVE_INFINITY;
    this.#table.release();
    Atomics.add(this.#version, 0, 1);
  }

  #succeed(at: number, limit: number, now: number): boolean {
    const words = this.#words;
    words[at + TCP_FAILURES] = words[at + HTTP_FAILURES] = words[at + TIMEOUTS] = 0;
    if (words[at + UNHEALTHY] === 0) {
      words[at + SUCCESSES] = 0;
      return false;
    }
    if (++words[at + SUCCESSES] < limit) return false;
    words[at + SUCCESSES] = 0;
    // One that was on trial has been warming up since it was let in again.
    const since = words[at + EJECTED_UNTIL];
    words[at + WARMING_SINCE] = since > 0 ? Math.min(since, now) : now;
    words[at + EJECTED_UNTIL] = 0;
    words[at + CHANGED_AT] = now;
    words[at + UNHEALTHY] = 0;
    return true;
  }

  #failOnce(
    at: number,
    counter: number,
    limit: number,
    ejection: Ejection | undefined,
    now: number,
  ): boolean {
    const words = this.#words;
    words[at + SUCCESSES] = 0;
    if (words[at + UNHEALTHY] === 1) {
      // It was on trial, and one failure is enough. One that is out has only answered late.
      if (ejection === undefined || now < words[at + EJECTED_UNTIL]) return false;
    } else {
      if (++words[at + counter] < limit) return false;
      // Long sound again: what was before is forgiven.
      if (ejection !== undefined && now - words[at + CHANGED_AT] > ejection.longestMs)
        words[at + EJECTIONS] = 0;
    }
    words[at + EJECTED_UNTIL] = 0;
    if (ejection !== undefined) {
      const times = words[at + EJECTIONS]++;
      words[at + EJECTED_UNTIL] =
        now + Math.min(ejection.firstMs * 2 ** Math.min(times, 30), ejection.longestMs);
    }
    words[at + CHANGED_AT] = now;
    words[at + UNHEALTHY] = 1;
    return true;
  }

  #word(index: number): number {
    if (this.#slot < 0 || this.#table.tagOf(this.#slot) !== this.#tag) {
      // An entry that wasn't there can only have come with a new version.
      const version = Atomics.load(this.#version, 0);
      if (this.#readOnly && this.#looked === version) return 0;
      this.#looked = version;
      this.#locate();
      if (this.#slot < 0) return 0;
    }
    return this.#words[this.#slot * this.#table.wordsPerSlot + index];
  }

  #locate(): void {
    const now = this.#now();
    if (!this.#readOnly) {
      this.#enter(now);
      this.#table.release();
      return;
    }
    this.#slot = this.#table.find(this.#key, now);
    if (this.#slot < 0) return;
    this.#tag = this.#table.tagOf(this.#slot);
    this.#table.release();
  }

  #enter(now: number): number {
    const slot = this.#table.acquire(this.#key, now);
    this.#table.expiries[slot] = now + LIFETIME_MS;
    this.#slot = slot;
    this.#tag = this.#table.tagOf(slot);
    return slot * this.#table.wordsPerSlot;
  }
}
