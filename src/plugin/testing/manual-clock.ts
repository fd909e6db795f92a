import type { Clock } from '../kit.ts';

/** A Clock that stands still until a test moves it. Starts at 2026-01-01T00:00:00Z. */
export class ManualClock implements Clock {
  #now: number;
  #monotonic = 1000;

  /** `now`: Unix milliseconds. */
  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    this.#monotonic += milliseconds;
  }
}
