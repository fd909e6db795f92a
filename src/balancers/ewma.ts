import type { VariableSource } from '../plugin/variable.ts';
import { type Balancer, type BalancerOptions, defineBalancer, type Target } from './balancer.ts';
import type { BalancerState, TargetLoad } from './balancer-state.ts';

/** As APISIX and ingress-nginx have it: after ten seconds, what was measured weighs 1/e. */
const DECAY_MS = 10_000;
/** A failure counts as at least this slow: a Target that refuses connections fast is not a fast one. */
const FAILURE_MS = 1000;
/** Keeps a Target whose latency has decayed to nothing from taking everything at once. */
const LEAST_MS = 0.1;

export const ewma = defineBalancer({
  name: 'ewma',
  summary: 'Picks the faster of two random Targets, by recent latency and attempts under way.',
  create: (targets, options, state) => new Ewma(targets, options, state),
});

/**
 * Power of two choices over a decayed mean of the latency ("Peak EWMA" in Finagle). Beyond APISIX',
 * the score counts attempts under way, so that a Target that hangs loses traffic before its first
 * answer is due. Weights play no part, as in APISIX.
 */
class Ewma implements Balancer {
  readonly #targets: readonly Target[];
  readonly #loads: readonly TargetLoad[];
  readonly #now: () => number;
  readonly #random: () => number;
  #hasNewcomers = true;

  constructor(targets: readonly Target[], options: BalancerOptions, state: BalancerState) {
    this.#targets = targets;
    this.#loads = targets.map((target) => state.load(options.upstream, target.key));
    this.#now = state.now;
    this.#random = state.random;
    this.#introduceNewcomers();
  }

  pick(_subject: VariableSource, tried: readonly Target[]): Target | undefined {
    let untried = this.#targets.length;
    for (const target of tried) if (this.#targets.includes(target)) untried--;
    if (untried <= 0) return undefined;
    const one = Math.floor(this.#random() * untried);
    const first = this.#untried(one, tried);
    if (untried === 1) return this.#targets[first];
    const other = Math.floor(this.#random() * (untried - 1));
    const second = this.#untried(other < one ? other : other + 1, tried);
    const now = this.#now();
    return this.#targets[this.#score(second, now) < this.#score(first, now) ? second : first];
  }

  started(target: Target): void {
    const index = this.#targets.indexOf(target);
    if (index >= 0) this.#loads[index].active++;
  }

  finished(target: Target, latencyMs: number, failed: boolean): void {
    const index = this.#targets.indexOf(target);
    if (index < 0) return;
    const load = this.#loads[index];
    const now = this.#now();
    if (load.active > 0) load.active--;
    const measured = failed ? Math.max(latencyMs, FAILURE_MS) : latencyMs;
    const kept = load.measured ? Math.exp(-Math.max(0, now - load.touchedAt) / DECAY_MS) : 0;
    load.latencyMs = load.latencyMs * kept + measured * (1 - kept);
    load.touchedAt = now;
    load.measured = true;
    if (this.#hasNewcomers) this.#introduceNewcomers();
  }

  /** The index of the n-th Target that isn't in `tried`. */
  #untried(n: number, tried: readonly Target[]): number {
    if (tried.length === 0) return n;
    let index = 0;
    for (; ; index++) if (!tried.includes(this.#targets[index]) && n-- === 0) return index;
  }

  #score(index: number, now: number): number {
    const load = this.#loads[index];
    const kept = Math.exp(-Math.max(0, now - load.touchedAt) / DECAY_MS);
    return (load.latencyMs * kept + LEAST_MS) * (load.active + 1);
  }

  /** What never answered is taken for as slow as the others' mean: from nothing it would get all traffic. */
  #introduceNewcomers(): void {
    const known = this.#loads.filter((load) => load.measured);
    if (known.length === 0) return;
    this.#hasNewcomers = false;
    const mean = known.reduce((sum, load) => sum + load.latencyMs, 0) / known.length;
    const now = this.#now();
    for (const load of this.#loads) {
      if (load.measured) continue;
      load.latencyMs = mean;
      load.touchedAt = now;
    }
  }
}
