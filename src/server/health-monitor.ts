// Looks after the health of all Targets: probes them, says what has changed, shows how they are. In
// the main thread, so that a Target is probed once and not by every worker. Imported when the first
// Upstream asks for it.

import { NetworkLookups } from '../discovery/lookups.ts';
import { Resolver } from '../discovery/resolver.ts';
import type { Change } from '../model/change.ts';
import type { Kind, Value } from '../model/resource.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { BreakerState } from '../plugin/breakers.ts';
import type { Logger } from '../plugin/kit.ts';
import { breakerKey } from '../proxy/upstream-breaker.ts';
import { type DiscoveredTargets, upstreamOptions } from '../proxy/upstream-options.ts';
import type { SharedBreakers } from '../state/memory/breakers.ts';
import type { HealthStatus, SharedHealth } from '../state/memory/target-health.ts';
import type { CircuitStatus, UpstreamStatus } from '../telemetry/figures.ts';
import { type CheckedTarget, CheckedUpstream } from './checked-upstream.ts';
import { checkedValue } from './checked-value.ts';

export interface HealthMonitorOptions {
  readonly snapshot: Snapshot;
  readonly health: SharedHealth;
  readonly breakers: Pick<SharedBreakers, 'stateOf'>;
  readonly dnsServers: readonly string[];
  readonly discovered?: DiscoveredTargets | undefined;
  readonly log: Logger;
  /** Told of all Targets whenever one of them has changed. */
  onStatus(statuses: readonly UpstreamStatus[]): void;
  /** Told of all breakers whenever one of them has changed. */
  onCircuits(circuits: readonly CircuitStatus[]): void;
}

/** A Target as APISIX's control API shows it, under the names there. */
export interface TargetView {
  readonly ip: string;
  readonly port: number;
  readonly status: HealthStatus;
  readonly counter: Readonly<Record<'success' | 'tcp_failure' | 'http_failure' | 'timeout_failure', number>>;
}

export interface HealthView {
  /** Where APISIX would keep the resource in etcd: `/apisix/upstreams/1`. */
  readonly name: string;
  readonly type?: string;
  readonly nodes: readonly TargetView[];
  /** Of the Upstream's circuit breaker, where it has one. */
  readonly circuit?: BreakerState;
}

/** How often it looks for what the workers have found out. */
const LOOK_MS = 250;

export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #upstreams = new Map<string, CheckedUpstream>();
  readonly #shown = new Map<string, HealthStatus>();
  readonly #timer: NodeJS.Timeout;
  readonly #startedAt = performance.now();
  #resolver: Resolver | undefined;
  #version = -1;
  #circuits = '';

  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    for (const { kind, id, value } of options.snapshot.all()) this.#put(kind, id, value, true);
    this.#timer = setInterval(() => this.#lookAtAll(), LOOK_MS);
    this.#timer.unref();
    this.#lookAtAll();
  }

  /** To be called before the workers hear of a Change that the Snapshot has taken. */
  apply({ puts, removals }: Change): void {
    let touched = false;
    for (const { kind, id } of removals) touched = this.#drop(`${kind}/${id}`) || touched;
    for (const { kind, id, value } of puts) touched = this.#put(kind, id, value, false) || touched;
    // Certificates of ours that probes show.
    if (puts.some(({ kind }) => kind === 'ssls')) this.#configure(this.#upstreams.keys());
    if (!touched) return;
    this.#version = -1;
    this.#lookAtAll();
  }

  /** All that is checked, as APISIX's `/v1/healthcheck`. */
  view(): HealthView[] {
    return [...this.#upstreams.values()].flatMap((upstream) => this.#viewOf(upstream) ?? []);
  }

  viewOf(kind: string, id: string): HealthView | undefined {
    const upstream = this.#upstreams.get(`${kind}/${id}`);
    return upstream && this.#viewOf(upstream);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const upstream of this.#upstreams.values()) upstream.close(false);
    this.#resolver?.close();
  }

  /** Returns whether it is, or was, anything to look after. */
  #put(kind: Kind, id: string, value: Value, atStart: boolean): boolean {
    const key = `${kind}/${id}`;
    const checked = checkedValue(kind, value);
    if (checked === undefined) return this.#drop(key);
    const { snapshot, health, discovered } = this.#options;
    const options = upstreamOptions(checked, key, kind === 'upstreams' ? id : '', snapshot, discovered);
    let upstream = this.#upstreams.get(key);
    const known = upstream !== undefined && upstream.targets.size > 0;
    if (upstream === undefined) {
      upstream = new CheckedUpstream(key, {
        health,
        addresses: () => this.#addresses(),
        onResult: () => this.#look(),
      });
      this.#upstreams.set(key, upstream);
    }
    // The Targets that an Upstream begins with share its whole load: none of them is new to it.
    const grace = (options.slowStart?.startup_grace_period_seconds ?? 0) * 1000;
    const isNew = known && !atStart && performance.now() - this.#startedAt >= grace;
    upstream.configure(options, options.slowStart !== undefined && isNew);
    return true;
  }

  /** A service has other Targets. To be called before the workers hear of it. */
  rediscover(service: string): void {
    const named = [...this.#upstreams].filter(([, upstream]) => upstream.service === service);
    if (named.length === 0) return;
    this.#configure(named.map(([key]) => key));
    this.#version = -1;
    this.#lookAtAll();
  }

  #configure(keys: Iterable<string>): void {
    for (const key of keys) {
      const [kind, ...id] = key.split('/') as [Kind, ...string[]];
      const resource = this.#options.snapshot.get(kind, id.join('/'));
      if (resource !== undefined) this.#put(kind, resource.id, resource.value, false);
    }
  }

  #drop(key: string): boolean {
    this.#upstreams.get(key)?.close(true);
    return this.#upstreams.delete(key);
  }

  #addresses(): Resolver {
    const servers = this.#options.dnsServers;
    this.#resolver ??= new Resolver({
      lookups: new NetworkLookups({ servers: servers.length > 0 ? servers : undefined }),
    });
    return this.#resolver;
  }

  #lookAtAll(): void {
    try {
      this.#look();
      this.#lookAtCircuits();
    } catch (error) {
      // A worker that stands still may hold an entry; it is ended, and this comes around again.
      this.#version = -1;
      this.#options.log.debug('health could not be looked at', { error: String(error) });
    }
  }

  #lookAtCircuits(): void {
    const circuits = [...this.#upstreams.values()].flatMap((upstream) => {
      const state = this.#circuitOf(upstream);
      return state === undefined ? [] : [{ name: `/apisix/${upstream.key}`, state }];
    });
    const text = circuits.map(({ name, state }) => `${name} ${state}`).join();
    if (text === this.#circuits) return;
    this.#circuits = text;
    this.#options.onCircuits(circuits);
  }

  #circuitOf(upstream: CheckedUpstream): BreakerState | undefined {
    return upstream.hasBreaker ? this.#options.breakers.stateOf(breakerKey(upstream.key)) : undefined;
  }

  #viewOf(upstream: CheckedUpstream): HealthView | undefined {
    const { key, type, targets } = upstream;
    const circuit = this.#circuitOf(upstream);
    if (type === undefined && circuit === undefined) return undefined;
    const nodes = type === undefined ? [] : [...targets.values()].map(viewOfTarget);
    return {
      name: `/apisix/${key}`,
      ...(type !== undefined && { type }),
      nodes,
      ...(circuit !== undefined && { circuit }),
    };
  }

  /** Says what has changed since it last looked. */
  #look(): void {
    const { health, log, onStatus } = this.#options;
    const { version } = health;
    if (version === this.#version) return;
    this.#version = version;
    const statuses: UpstreamStatus[] = [];
    const gone = new Set(this.#shown.keys());
    for (const upstream of this.#upstreams.values()) {
      if (upstream.checks === undefined) continue;
      for (const target of upstream.targets.values()) {
        const { status, counter, unhealthy } = target.health;
        const name = `${upstream.key} ${target.key}`;
        gone.delete(name);
        statuses.push({
          name: `/apisix/${upstream.key}`,
          ip: target.host,
          port: target.port,
          healthy: !unhealthy,
        });
        const before = this.#shown.get(name);
        const now = unhealthy ? 'unhealthy' : 'healthy';
        this.#shown.set(name, now);
        if (before === now || (before === undefined && !unhealthy)) continue;
        const fields = { upstream: upstream.key, target: target.key, status, ...counter };
        if (unhealthy) log.warn(`Target ${target.key} of ${upstream.key} is unhealthy`, fields);
        else log.info(`Target ${target.key} of ${upstream.key} is healthy again`, fields);
      }
    }
    for (const name of gone) this.#shown.delete(name);
    onStatus(statuses);
  }
}

function viewOfTarget({ host, port, health }: CheckedTarget): TargetView {
  return { ip: host, port, status: health.status, counter: health.counter };
}
