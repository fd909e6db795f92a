/** Opens after so many failures in a row, each time for twice as long: APISIX's `unhealthy-count`. */
export interface CountPolicy {
  readonly type: 'count';
  readonly failures: number;
  /** Successes after failures that close it for good. */
  readonly successes: number;
  readonly longestMs: number;
}

/** Opens at a share of failures, then lets probes through: APISIX's `unhealthy-ratio`. */
export interface RatioPolicy {
  readonly type: 'ratio';
  /** 0 to 1. */
  readonly failureRatio: number;
  readonly minRequests: number;
  readonly windowMs: number;
  readonly openMs: number;
  readonly probes: number;
  /** The share of probes that must succeed, 0 to 1. */
  readonly successRatio: number;
}

export type BreakerPolicy = CountPolicy | RatioPolicy;

/**
 * `failure` and `success` as the caller sees them. `other`: an answer that is neither. `none`: it
 * never came to an answer for reasons that say nothing; a probe is given back.
 */
export type BreakerOutcome = 'failure' | 'success' | 'other' | 'none';

/**
 * What a breaker says about one request. 0: it passes. Above 0: it doesn't, for so many
 * milliseconds. Below 0: it passes as a probe. To be handed to `report` as it is.
 */
export type Admission = number;

export type BreakerState = 'closed' | 'open' | 'half-open';

/** Circuit breakers by key, shared by all workers, that outlive a Runtime. Time is monotonic. */
export interface Breakers {
  admit(key: string, policy: BreakerPolicy): Admission;
  /** Once for each request that passed. Returns the state that it has brought about, undefined for the old one. */
  report(
    key: string,
    policy: BreakerPolicy,
    admission: Admission,
    outcome: BreakerOutcome,
  ): BreakerState | undefined;
}
