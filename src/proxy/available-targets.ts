import type { Balancer } from '../balancers/balancer.ts';
import type { SlowStart } from '../model/upstream.ts';
import type { VariableSource } from '../plugin/variable.ts';
import type { HealthSource } from '../state/memory/target-health.ts';
import type { Target } from './upstream.ts';

export interface AvailabilityOptions {
  /** Probes bring a Target back; without them, time does. */
  readonly probed: boolean;
  readonly slowStart: SlowStart | undefined;
}

/**
 * Keeps unhealthy Targets from a Balancer, and gives warm ones more than those that are warming up.
 * A Balancer knows nothing of health: it is made anew, with the Targets that are left, when some
 * Target's health has changed. That is exact for every algorithm, and a look at one number per
 * request while nothing changes. When no Target is healthy, all of them are tried, as in APISIX:
 * the checks may be wrong, and there is nothing to lose.
 */
export class AvailableTargets {
  readonly #targets: readonly Target[];
  readonly #options: AvailabilityOptions;
  readonly #health: HealthSource;
  readonly #build: (targets: readonly Target[]) => Balancer;
  /** Configured weights, in the order of #targets. */
  readonly #weights: readonly number[];
  readonly #heaviest: number;
  #version: number | undefined;
  #reviewAt = Number.POSITIVE_INFINITY;
  #built = '';
  #balancer: Balancer;

  /** `balancer` is one of all Targets; `build` makes one of some of them. */
  constructor(
    targets: readonly Target[],
    options: AvailabilityOptions,
    health: HealthSource,
    balancer: Balancer,
    build: (targets: readonly Target[]) => Balancer,
  ) {
    this.#targets = targets;
    this.#options = options;
    this.#health = health;
    this.#balancer = balancer;
    this.#build = build;
    this.#weights = targets.map(({ weight }) => weight);
    this.#heaviest = Math.max(...this.#weights);
    this.#built = this.#weights.join();
  }

  pick(exchange: VariableSource, tried: readonly Target[]): Target | undefined {
    const health = this.#health;
    if (
      health.version !== this.#version ||
      (this.#reviewAt !== Number.POSITIVE_INFINITY && health.now() >= this.#reviewAt)
    )
      this.#review();
    // What a Balancer picks is one of what it was given.
    return this.#balancer.pick(exchange, tried) as Target | undefined;
  }

  /** The Targets that are passed over now. */
  unhealthy(): Target[] {
    const now = this.#health.now();
    return this.#targets.filter((target) => !this.#isAvailable(target, now));
  }

  #isAvailable({ health }: Target, now: number): boolean {
    if (health === undefined || !health.unhealthy) return true;
    const until = health.ejectedUntil;
    return until > 0 ? now >= until : !this.#options.probed;
  }

  #review(): void {
    const health = this.#health;
    this.#version = health.version;
    const now = health.now();
    this.#reviewAt = Number.POSITIVE_INFINITY;
    const shares = this.#targets.map((target) => (this.#isAvailable(target, now) ? 1 : 0));
    for (const { health } of this.#targets) {
      if (health?.unhealthy && health.ejectedUntil > now)
        this.#reviewAt = Math.min(this.#reviewAt, health.ejectedUntil);
    }
    // One that weighs nothing gets nothing, healthy or not: it can't stand in for the others.
    if (!shares.some((share, index) => share === 1 && this.#weights[index] > 0)) shares.fill(1);
    const { slowStart } = this.#options;
    const cold = slowStart !== undefined && this.#warm(shares, slowStart, now);
    const weights = this.#targets.map((_, index) => {
      const weight = this.#weights[index];
      if (!cold || weight === 0 || shares[index] === 0) return shares[index] === 0 ? -1 : weight;
      // On a scale of 100: a weight of 1 could not grow by degrees.
      return Math.max(1, Math.round((weight / this.#heaviest) * 100 * shares[index]));
    });
    const built = weights.join();
    if (built === this.#built) return;
    this.#built = built;
    this.#targets.forEach((target, index) => {
      target.weight = weights[index] < 0 ? this.#weights[index] : weights[index];
    });
    this.#balancer = this.#build(this.#targets.filter((_, index) => weights[index] >= 0));
  }

  /** Scales the shares of those that are warming up; false when there are none. */
  #warm(shares: number[], slowStart: SlowStart, now: number): boolean {
    let cold = false;
    this.#targets.forEach(({ health }, index) => {
      if (shares[index] === 0 || health === undefined) return;
      const until = health.ejectedUntil;
      const since = until > 0 && until <= now ? until : health.warmingSince;
      const share = since > 0 ? warmShare(slowStart, now - since) : 1;
      if (share === 1) return;
      shares[index] = share;
      cold = true;
      this.#reviewAt = Math.min(this.#reviewAt, now + slowStart.interval * 1000);
    });
    return cold;
  }
}

/** The part of its weight that a Target gets so long after its return, as Envoy and APISIX reckon it. */
export function warmShare(slowStart: SlowStart, elapsedMs: number): number {
  const progress = elapsedMs / (slowStart.slow_start_time_seconds * 1000);
  if (progress >= 1) return 1;
  const ramp = Math.max(progress, 0) ** (1 / slowStart.aggression);
  return Math.max(slowStart.min_weight_percent / 100, ramp);
}
