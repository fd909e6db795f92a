import type { CircuitBreakerOptions } from '../model/upstream.ts';
import type { Admission, BreakerOutcome, Breakers, RatioPolicy } from '../plugin/breakers.ts';
import type { Logger } from '../plugin/kit.ts';
import { type Reply, reply } from '../plugin/reply.ts';

/** The key of an Upstream's breaker. */
export function breakerKey(upstream: string): string {
  return `upstream ${upstream}`;
}

/** The breaker of one Upstream: no request goes there while too many fail. */
export class UpstreamBreaker {
  readonly #breakers: Breakers;
  readonly #upstream: string;
  readonly #log: Pick<Logger, 'warn' | 'info'> | undefined;
  readonly #key: string;
  readonly #policy: RatioPolicy;
  readonly #failures: ReadonlySet<number>;

  constructor(
    upstream: string,
    options: CircuitBreakerOptions,
    breakers: Breakers,
    log: Pick<Logger, 'warn' | 'info'> | undefined,
  ) {
    this.#breakers = breakers;
    this.#upstream = upstream;
    this.#log = log;
    this.#key = breakerKey(upstream);
    this.#failures = new Set(options.http_statuses);
    this.#policy = {
      type: 'ratio',
      failureRatio: options.failure_percent / 100,
      minRequests: options.min_requests,
      windowMs: options.window_seconds * 1000,
      openMs: options.open_seconds * 1000,
      probes: options.probes,
      successRatio: 1,
    };
  }

  admit(): Admission {
    return this.#breakers.admit(this.#key, this.#policy);
  }

  /** The answer while it is open for so many milliseconds more. */
  refusal(leftMs: number): Reply {
    const seconds = Math.max(1, Math.ceil(leftMs / 1000));
    return reply(503, undefined, {
      headers: [['Retry-After', String(seconds)]],
      reason: 'circuit_open',
    });
  }

  /** A status, or 0 where there was no answer. */
  report(admission: Admission, status: number): void {
    this.#report(admission, status === 0 || this.#failures.has(status) ? 'failure' : 'success');
  }

  /** The request ended before it could tell anything. */
  withdraw(admission: Admission): void {
    this.#report(admission, 'none');
  }

  #report(admission: Admission, outcome: BreakerOutcome): void {
    const state = this.#breakers.report(this.#key, this.#policy, admission, outcome);
    if (state === 'open') this.#log?.warn(`the circuit breaker of ${this.#upstream} is open`);
    else if (state === 'closed') this.#log?.info(`the circuit breaker of ${this.#upstream} is closed again`);
  }
}
