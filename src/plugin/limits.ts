import type { RedisSettings } from './redis-settings.ts';

/** What a limit decided about one request. */
export interface LimitVerdict {
  readonly allowed: boolean;
  /** Requests left after this one; 0 when refused. */
  readonly remaining: number;
  /** Seconds until the window resets or a request would pass, with milliseconds as fraction. */
  readonly resetSeconds: number;
  /** Seconds to hold the request back before letting it go on (leaky bucket); 0 otherwise. */
  readonly delaySeconds: number;
}

/** A verdict, or a promise of one where the counters live on another machine. */
export type MaybePromise<T> = T | Promise<T>;

/**
 * Counters that outlive a Runtime and are exact across all workers. A key is any string; callers
 * prefix it with what makes it theirs. Every call is atomic; time is monotonic.
 */
export interface Limits {
  /** At most `limit` costs in each window of `windowSeconds`, which starts at the first request of a key. A refused request is not counted. */
  fixedWindow(key: string, limit: number, windowSeconds: number, cost: number): MaybePromise<LimitVerdict>;
  /** As fixedWindow, with the previous window weighted by its overlap (never above `limit` in any estimate). */
  slidingWindow(key: string, limit: number, windowSeconds: number, cost: number): MaybePromise<LimitVerdict>;
  /** Leaky bucket as in nginx limit_req: `ratePerSecond`, `burst` above it; what is above rate is delayed. */
  leakyBucket(key: string, ratePerSecond: number, burst: number): MaybePromise<LimitVerdict>;
  /** Enters a concurrency limit: `current` is the number inside with this one, or refused and not inside. */
  enter(key: string, maximum: number): MaybePromise<{ readonly allowed: boolean; readonly current: number }>;
  leave(key: string): void;
}

/** Limits that several machines share. */
export interface SharedLimits extends Limits {
  /** To be called once, when they are no longer used; what was entered may still leave afterwards. */
  release(): void;
}

/** What a Plugin asks its Kit for. */
export interface SharedLimitsOptions {
  readonly redis: RedisSettings;
  /** Who entered and never left is forgotten after so many seconds, from 2 to 60, once its worker is gone. */
  readonly stayTtlSeconds: number;
  /** Ask this machine's own Limits while the others can't be asked, instead of failing. */
  readonly countLocally: boolean;
}

/**
 * The counters can't be asked now. Whoever keeps them has said so in the log once, so that nobody needs
 * to for each request.
 */
export class LimitsUnavailable extends Error {
  override readonly name = 'LimitsUnavailable';
}
