import type { VariableSource } from '../plugin/variable.ts';
import type { Balancer, BalancerDefinition, BalancerOptions, Target } from './balancer.ts';
import type { BalancerState } from './balancer-state.ts';

type Create = BalancerDefinition['create'];

/**
 * Groups Targets by priority, higher first, each group with a Balancer of its own; the next group
 * is asked when all of one were tried. Targets of weight 0 are left out, unless no Target has a
 * weight: then all have the same (recorded of APISIX: an Upstream with nothing but zeros answers).
 */
export function prioritized(create: Create): Create {
  return (targets, options, state) => {
    const weighted = targets.filter((target) => target.weight > 0);
    const usable = weighted.length > 0 ? weighted : targets.map((target) => ({ ...target, weight: 1 }));
    state.retain(options.upstream, options.all ?? targets);
    const groups = new Map<number, Target[]>();
    for (const target of usable) {
      const group = groups.get(target.priority);
      if (group === undefined) groups.set(target.priority, [target]);
      else group.push(target);
    }
    const priorities = [...groups.keys()].sort((a, b) => b - a);
    if (priorities.length === 1) return create(usable, options, state);
    return new PrioritizedBalancer(create, priorities, groups, options, state);
  };
}

class PrioritizedBalancer implements Balancer {
  readonly #priorities: readonly number[];
  readonly #balancers: readonly Balancer[];

  constructor(
    create: Create,
    priorities: readonly number[],
    groups: ReadonlyMap<number, readonly Target[]>,
    options: BalancerOptions,
    state: BalancerState,
  ) {
    this.#priorities = priorities;
    this.#balancers = priorities.map((priority) => create(groups.get(priority)!, options, state));
  }

  pick(subject: VariableSource, tried: readonly Target[]): Target | undefined {
    for (const balancer of this.#balancers) {
      const target = balancer.pick(subject, tried);
      if (target !== undefined) return target;
    }
    return undefined;
  }

  started(target: Target): void {
    this.#of(target)?.started?.(target);
  }

  finished(target: Target, latencyMs: number, failed: boolean): void {
    this.#of(target)?.finished?.(target, latencyMs, failed);
  }

  #of(target: Target): Balancer | undefined {
    return this.#balancers[this.#priorities.indexOf(target.priority)];
  }
}
