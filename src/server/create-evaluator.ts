import { BalancerState } from '../balancers/balancer-state.ts';
import { IpSet } from '../lib/ip-range.ts';
import { withDefaults } from '../lib/json-schema.ts';
import type { GeoSource } from '../model/geo-place.ts';
import { parseAddress } from '../model/listen-address.ts';
import type { Value } from '../model/resource.ts';
import type { Settings } from '../model/settings.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { Evaluator } from '../proxy/evaluator.ts';
import type { DiscoveredTargets } from '../proxy/upstream-options.ts';
import type { ObservedCaches } from '../state/cache/observed-caches.ts';
import { monotonic } from '../state/memory/monotonic-clock.ts';
import { allocateSharedState, SharedState } from '../state/memory/shared-state.ts';
import { balancersOn } from './balancing.ts';

/** What an Evaluator needs to know of how the gateway runs. */
export type EvaluatorSettings = Pick<
  Settings,
  'client' | 'trusted_addresses' | 'max_collected_bytes' | 'listeners'
>;

/**
 * An Evaluator with this process's Plugins and Balancers. With `state` it looks at the counters that
 * the workers share; without, at empty ones.
 */
export function createEvaluator(
  snapshot: Snapshot,
  plugins: readonly Plugin[],
  settings: EvaluatorSettings,
  state?: SharedState,
  geo?: GeoSource,
  caches?: ObservedCaches,
  discovered?: DiscoveredTargets,
): Evaluator {
  const { client, trusted_addresses: trusted } = settings;
  const counters =
    state ??
    new SharedState(
      allocateSharedState({ workers: 1, limitSlots: 32, ticketSlots: 32, breakerSlots: 32, healthSlots: 32 }),
    );
  return new Evaluator(snapshot, {
    plugins,
    withDefaults: (schema, config) => withDefaults(schema, config) as Value,
    limits: {
      maxTarget: client.max_uri_bytes,
      maxFields: client.max_headers,
      maxHeadBytes: client.max_header_bytes,
      maxBodyBytes: client.max_body_bytes,
      maxCollectedBytes: settings.max_collected_bytes,
    },
    ports: settings.listeners.map(({ address }) => parseAddress(address).port).filter((port) => port > 0),
    trusted: trusted.length > 0 ? new IpSet(trusted) : undefined,
    geo,
    clock: { now: Date.now, monotonic },
    createLimits: (clock) => counters.peek(() => clock.monotonic()),
    createBreakers: (clock) => counters.peekBreakers(() => clock.monotonic()),
    health: counters.peekHealth(),
    shared: counters.shared.peek(),
    ...(caches !== undefined && { cache: (zone: string) => caches.zone(zone) }),
    discovered,
    counters: state === undefined ? 'empty' : 'live',
    createBalancers: ({ random, now, turn }) =>
      balancersOn(new BalancerState({ random, now, ticket: () => ({ next: turn }) })),
  });
}
