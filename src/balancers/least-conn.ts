import type { VariableSource } from '../plugin/variable.ts';
import { type Balancer, type BalancerOptions, defineBalancer, type Target } from './balancer.ts';
import type { BalancerState, TargetLoad } from './balancer-state.ts';

export const leastConn = defineBalancer({
  name: 'least_conn',
  summary: 'Picks the Target with the fewest attempts under way, measured by weight.',
  create: (targets, options, state) => new LeastConn(targets, options, state),
});

class LeastConn implements Balancer {
  readonly #targets: readonly Target[];
  readonly #loads: readonly TargetLoad[];
  #start = 0;

  constructor(targets: readonly Target[], options: BalancerOptions, state: BalancerState) {
    this.#targets = targets;
    this.#loads = targets.map((target) => state.load(options.upstream, target.key));
  }

  pick(_subject: VariableSource, tried: readonly Target[]): Target | undefined {
    const count = this.#targets.length;
    // Each look begins one further on, so that an idle Upstream's Targets take turns.
    const start = (this.#start = (this.#start + 1) % count);
    let best: Target | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const index = (start + i) % count;
      const target = this.#targets[index];
      const score = (this.#loads[index].active + 1) / target.weight;
      if (score >= least || tried.includes(target)) continue;
      best = target;
      least = score;
    }
    return best;
  }

  started(target: Target): void {
    const index = this.#targets.indexOf(target);
    if (index >= 0) this.#loads[index].active++;
  }

  finished(target: Target): void {
    const index = this.#targets.indexOf(target);
    if (index >= 0 && this.#loads[index].active > 0) this.#loads[index].active--;
  }
}
