import type { Balancer } from '../balancers/balancer.ts';
import type { BalancerState } from '../balancers/balancer-state.ts';
import { balancers } from '../balancers/index.ts';
import type { Value } from '../model/resource.ts';
import type { Target, UpstreamOptions } from '../proxy/upstream.ts';

/** Makes the Balancer that an Upstream's `type` names. */
export function balancersOn(
  state: BalancerState,
): (value: Value, options: UpstreamOptions, targets: readonly Target[], all?: readonly Target[]) => Balancer {
  return (value, options, targets, all) => {
    const type = (value.type as string | undefined) ?? 'roundrobin';
    const definition = balancers.find(({ name }) => name === type) ?? balancers[0];
    return definition.create(
      targets,
      { upstream: options.key, all, hash_on: value.hash_on as never, key: value.key as string | undefined },
      state,
    );
  };
}
