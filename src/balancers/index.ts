import type { BalancerDefinition } from './balancer.ts';
import { chash } from './chash.ts';
import { ewma } from './ewma.ts';
import { leastConn } from './least-conn.ts';
import { roundrobin } from './roundrobin.ts';

/** The algorithms that an Upstream's `type` may name. */
export const balancers: readonly BalancerDefinition[] = [roundrobin, chash, leastConn, ewma];
