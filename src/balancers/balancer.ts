import type { VariableSource } from '../plugin/variable.ts';
import type { BalancerState } from './balancer-state.ts';
import { prioritized } from './priority.ts';

/** One address to which an Upstream's requests may go. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Its share among Targets of the same priority. 0 gets nothing, unless the whole Upstream has nothing else. */
  readonly weight: number;
  /** Higher ones are used first; lower ones once all of those were tried. */
  readonly priority: number;
  /** `host:port`. */
  readonly key: string;
}

/**
 * Chooses Targets for one Upstream.
 *
 * Lifecycle of an attempt: 1. `pick`; 2. `started`, when the attempt begins; 3. `finished`, exactly
 * once for each `started`. `started` and `finished` take what `pick` returned, and so does `tried`:
 * Targets are told apart by identity.
 */
export interface Balancer {
  /** Undefined when every Target was tried. `tried` may be empty. */
  pick(subject: VariableSource, tried: readonly Target[]): Target | undefined;
  started?(target: Target): void;
  /** After each attempt. `latencyMs`: from its start to the response head, or to the failure. */
  finished?(target: Target, latencyMs: number, failed: boolean): void;
}

/** What an Upstream says about balancing, under its names in the Admin API. */
export interface BalancerOptions {
  /** The Upstream's key, stable across rebuilds: state that outlives them hangs on it. */
  readonly upstream: string;
  readonly hash_on?: 'vars' | 'header' | 'cookie' | 'consumer' | 'vars_combinations';
  /** Every Target of the Upstream, where a Balancer is made for some of them only: the others are unhealthy. */
  readonly all?: readonly Target[];
  /** Variable, header field, cookie or template, as `hash_on` says. */
  readonly key?: string;
}

export interface BalancerDefinition {
  /** The Upstream's `type`. */
  readonly name: string;
  /** One sentence for docs and console. */
  readonly summary: string;
  /** Once per Upstream when the configuration or its Targets change, on each worker; never per request. */
  create(targets: readonly Target[], options: BalancerOptions, state: BalancerState): Balancer;
}

/**
 * Defines an algorithm. Its own `create` gets Targets of one priority, at least one, all of them
 * with a weight above 0; priorities and weights of 0 are dealt with around it.
 */
export function defineBalancer(definition: BalancerDefinition): BalancerDefinition {
  return { ...definition, create: prioritized(definition.create) };
}
