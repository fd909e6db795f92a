import type { Admission, BreakerOutcome, BreakerPolicy, BreakerState, Breakers } from '../breakers.ts';
import type { Clock } from '../kit.ts';

interface Breaker {
  failures: number;
  successes: number;
  openedAt: number | undefined;
  /** Of the ratio policy, while closed: time and whether it failed. */
  samples: { at: number; failed: boolean }[];
  probes: number;
  probed: BreakerOutcome[];
  state: 'closed' | 'open' | 'half-open';
  generation: number;
}

/** Breakers that remember every request: slow, and easy to see through. */
export class NaiveBreakers implements Breakers {
  readonly breakers = new Map<string, Breaker>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admit(key: string, policy: BreakerPolicy): Admission {
    const breaker = this.#breaker(key);
    const since = this.#clock.monotonic() - (breaker.openedAt ?? Number.NEGATIVE_INFINITY);
    if (policy.type === 'count') {
      const times = Math.max(1, Math.floor(breaker.failures / policy.failures));
      return Math.max(0, Math.min(1000 * 2 ** times, policy.longestMs) - since);
    }
    if (breaker.state === 'closed') return 0;
    if (breaker.state === 'open') {
      if (since < policy.openMs) return policy.openMs - since;
      breaker.state = 'half-open';
      breaker.generation++;
      breaker.probes = 0;
      breaker.probed = [];
    }
    if (breaker.probes >= policy.probes) return 1000;
    breaker.probes++;
    return -breaker.generation;
  }

  report(
    key: string,
    policy: BreakerPolicy,
    admission: Admission,
    outcome: BreakerOutcome,
  ): BreakerState | undefined {
    const before = this.breakers.get(key);
    const openedBefore = before?.openedAt;
    this.#report(key, policy, admission, outcome);
    const after = this.breakers.get(key);
    if (after === undefined) return before?.openedAt === undefined ? undefined : 'closed';
    return after.openedAt === openedBefore ? undefined : 'open';
  }

  #report(key: string, policy: BreakerPolicy, admission: Admission, outcome: BreakerOutcome): void {
    const breaker = this.#breaker(key);
    const now = this.#clock.monotonic();
    if (policy.type === 'count') {
      if (outcome === 'failure') {
        breaker.successes = 0;
        if (++breaker.failures % policy.failures === 0) breaker.openedAt = now;
      } else if (outcome === 'success' && breaker.failures > 0 && ++breaker.successes >= policy.successes)
        this.breakers.delete(key);
      return;
    }
    const open = (): void => {
      breaker.state = 'open';
      breaker.openedAt = now;
    };
    if (admission < 0) {
      if (breaker.state !== 'half-open' || breaker.generation !== -admission) return;
      if (outcome === 'none') breaker.probes--;
      else if (outcome === 'failure') open();
      else if (breaker.probed.push(outcome) === policy.probes) {
        const succeeded = breaker.probed.filter((one) => one === 'success').length;
        if (succeeded / policy.probes >= policy.successRatio) this.breakers.delete(key);
        else open();
      }
      return;
    }
    if (breaker.state !== 'closed' || outcome === 'none') return;
    breaker.samples = breaker.samples.filter(({ at }) => now - at < policy.windowMs);
    breaker.samples.push({ at: now, failed: outcome === 'failure' });
    const failed = breaker.samples.filter((sample) => sample.failed).length;
    const total = breaker.samples.length;
    if (total >= policy.minRequests && failed > 0 && failed / total >= policy.failureRatio) open();
  }

  #breaker(key: string): Breaker {
    let breaker = this.breakers.get(key);
    if (breaker === undefined) {
      breaker = {
        failures: 0,
        successes: 0,
        openedAt: undefined,
        samples: [],
        probes: 0,
        probed: [],
        state: 'closed',
        generation: 0,
      };
      this.breakers.set(key, breaker);
    }
    return breaker;
  }
}
