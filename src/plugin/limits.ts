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
