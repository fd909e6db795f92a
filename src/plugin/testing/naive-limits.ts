import type { Clock } from '../kit.ts';
import type { Limits, LimitVerdict } from '../limits.ts';

interface Window {
  startedAt: number;
  used: number;
  previous: number;
}

/** Limits in a few plain Maps that never shrink: for tests and as the oracle of the real ones. */
export class NaiveLimits implements Limits {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();
  readonly #buckets = new Map<string, { excess: number; at: number }>();
  /** How many are inside, by key; for a test to see that every one has left. */
  readonly inside = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  fixedWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    const now = this.#clock.monotonic() / 1000;
    let window = this.#windows.get(key);
    if (window === undefined || now - window.startedAt >= windowSeconds) {
      window = { startedAt: now, used: 0, previous: 0 };
      this.#windows.set(key, window);
    }
    const resetSeconds = round(window.startedAt + windowSeconds - now);
    if (window.used + cost > limit) return { allowed: false, remaining: 0, resetSeconds, delaySeconds: 0 };
    window.used += cost;
    return { allowed: true, remaining: limit - window.used, resetSeconds, delaySeconds: 0 };
  }

  slidingWindow(key: string, limit: number, windowSeconds: number, cost: number): LimitVerdict {
    const now = this.#clock.monotonic() / 1000;
    const startedAt = Math.floor(now / windowSeconds) * windowSeconds;
    let window = this.#windows.get(key);
    if (window === undefined || window.startedAt !== startedAt) {
      const follows = window !== undefined && window.startedAt === startedAt - windowSeconds;
      window = { startedAt, used: 0, previous: follows ? window!.used : 0 };
      this.#windows.set(key, window);
    }
    const elapsed = now - startedAt;
    const estimate = window.previous * (1 - elapsed / windowSeconds) + window.used;
    const resetSeconds = round(windowSeconds - elapsed);
    if (estimate + cost > limit) return { allowed: false, remaining: 0, resetSeconds, delaySeconds: 0 };
    window.used += cost;
    const remaining = Math.max(0, Math.floor(limit - estimate - cost));
    return { allowed: true, remaining, resetSeconds, delaySeconds: 0 };
  }

  leakyBucket(key: string, ratePerSecond: number, burst: number): LimitVerdict {
    const now = this.#clock.monotonic() / 1000;
    const bucket = this.#buckets.get(key);
    const excess =
      bucket === undefined ? 0 : Math.max(0, bucket.excess - (now - bucket.at) * ratePerSecond + 1);
    if (excess > burst) {
      const resetSeconds = round((excess - burst) / ratePerSecond);
      return { allowed: false, remaining: 0, resetSeconds, delaySeconds: 0 };
    }
    this.#buckets.set(key, { excess, at: now });
    return {
      allowed: true,
      remaining: Math.floor(burst - excess),
      resetSeconds: 0,
      delaySeconds: excess / ratePerSecond,
    };
  }

  enter(key: string, maximum: number): { allowed: boolean; current: number } {
    const current = this.inside.get(key) ?? 0;
    if (current >= maximum) return { allowed: false, current };
    this.inside.set(key, current + 1);
    return { allowed: true, current: current + 1 };
  }

  leave(key: string): void {
    const current = this.inside.get(key) ?? 0;
    if (current === 0) throw new Error(`leave('${key}') without an enter`);
    this.inside.set(key, current - 1);
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
