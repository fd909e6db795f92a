// A Snapshot compiled: what a worker serves by. It moves with its Snapshot from revision to
// revision; a Change recompiles what it names and what refers to that, nothing else.

import type { Balancer } from '../balancers/balancer.ts';
import { IpSet } from '../lib/ip-range.ts';
import type { Change } from '../model/change.ts';
import { ConfigError } from '../model/errors.ts';
import type { GeoSource } from '../model/geo-place.ts';
import type { Kind, Resource, Value } from '../model/resource.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Breakers } from '../plugin/breakers.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import type { Kit, Logger } from '../plugin/kit.ts';
import type { Limits } from '../plugin/limits.ts';
import type { SharedNumbers } from '../plugin/shared-numbers.ts';
import { type Binding, type BindingMeta, mergeBindings, NO_BINDINGS } from './binding.ts';
import { compilePipeline } from './compile-pipeline.ts';
import { Consumers } from './consumers.ts';
import type { Exchange } from './exchange.ts';
import { BindingKit, type KitSurroundings } from './kit.ts';
import type { Pipeline } from './pipeline.ts';
import { References } from './references.ts';
import type { RetryBudget } from './retry-budget.ts';
import { type RouteCompiler, RouteEntry } from './route-entry.ts';
import { Router } from './router.ts';
import { type Target, Upstream, type UpstreamOptions, type UpstreamSurroundings } from './upstream.ts';
import { completeTargets, type DiscoveredTargets, upstreamOptions } from './upstream-options.ts';

/** What a Runtime needs from its thread. */
export interface RuntimeSurroundings extends Omit<UpstreamSurroundings, 'createBalancer' | 'retryBudget'> {
  readonly plugins: readonly Plugin[];
  readonly limits: Limits;
  readonly sharedLimits?: KitSurroundings['sharedLimits'];
  readonly breakers: Breakers;
  readonly shared: SharedNumbers;
  readonly log: Logger;
  readonly clock: KitSurroundings['clock'];
  random(): number;
  delay(milliseconds: number): Promise<void>;
  send: KitSurroundings['send'];
  gauge: KitSurroundings['gauge'];
  /** Absent: nothing is ever stored. */
  cache?: KitSurroundings['cache'];
  /** A copy of a config with the schema's defaults filled in. */
  withDefaults(schema: Plugin['config'], config: unknown): Value;
  createBalancer(
    value: Value,
    options: UpstreamOptions,
    targets: readonly Target[],
    all: readonly Target[],
  ): Balancer;
  /** The Targets of services that are registered elsewhere. */
  readonly discovered?: DiscoveredTargets | undefined;
}

const PLACE_KINDS = { services: 1, plugin_configs: 1 } as const;

export class Runtime implements RouteCompiler {
  readonly snapshot: Snapshot;
  readonly router = new Router<Exchange, RouteEntry>();
  readonly consumers: Consumers;
  /** Where clients are; undefined where nobody knows. */
  geo: GeoSource | undefined;
  readonly #surroundings: RuntimeSurroundings;
  readonly #plugins: Map<string, Plugin>;
  readonly #routes = new Map<string, RouteEntry>();
  readonly #references = new References();
  readonly #upstreams = new Map<string, Upstream>();
  /** By the Upstream's key: they outlive it, and go with the resource that holds it. */
  readonly #retryBudgets = new Map<string, RetryBudget>();
  readonly #bindings = new Map<string, readonly Binding[]>();
  readonly #metadataWithDefaults = new Map<string, Value | undefined>();
  readonly #kit: KitSurroundings;
  #notFound: Pipeline | undefined;
  /** Called after each Change, for what else is compiled from the Snapshot. */
  onChange: (() => void) | undefined;
  /** Told after SSLs have changed. */
  onSslChange: (() => void) | undefined;

  constructor(snapshot: Snapshot, surroundings: RuntimeSurroundings) {
    this.snapshot = snapshot;
    this.#surroundings = surroundings;
    this.#plugins = new Map(surroundings.plugins.map((plugin) => [plugin.name, plugin]));
    this.consumers = new Consumers(this.#plugins, (plugins, place) => this.#makeBindings(plugins, place));
    const { clock, limits, breakers, shared, log, sharedLimits } = surroundings;
    this.#kit = {
      clock,
      limits,
      ...(sharedLimits !== undefined && { sharedLimits }),
      breakers,
      shared,
      log,
      random: () => surroundings.random(),
      delay: (milliseconds) => surroundings.delay(milliseconds),
      credentials: (plugin) => this.consumers.indexFor(plugin),
      metadata: (plugin) => this.#metadata(plugin),
      upstream: (upstream, owner) => this.#upstreamFor(upstream, owner),
      send: surroundings.send,
      gauge: surroundings.gauge,
      cache: (zone) => surroundings.cache?.(zone),
    };
    for (const resource of snapshot.all()) this.#put(resource);
  }

  get revision(): number {
    return this.snapshot.revision;
  }

  /** Moves to the Change's revision. Exchanges under way keep what they have. */
  apply(change: Change): void {
    this.snapshot.apply(change);
    for (const { kind, id } of change.removals) this.#remove(kind, id);
    for (const resource of change.puts) this.#put(resource);
    this.onChange?.();
  }

  /** A service has other Targets. Upstreams stay what they are, and so do Targets that stay. */
  rediscover(service: string): void {
    const found = this.#surroundings.discovered?.(service) ?? [];
    for (const upstream of this.#upstreams.values())
      if (upstream.service === service) upstream.retarget(completeTargets(found, upstream.scheme));
  }

  /** A Plugin's code has changed: what is bound to it is made anew. */
  replacePlugin(plugin: Plugin): void {
    this.#plugins.set(plugin.name, plugin);
    this.#bindings.clear();
    for (const kind of ['consumer_groups', 'consumers'] as const) {
      for (const resource of this.snapshot.list(kind)) this.#put(resource);
    }
    this.#refreshAll();
    this.onChange?.();
  }

  /** The chain for requests that no Route matches: the global rules. */
  get notFound(): Pipeline {
    this.#notFound ??= compilePipeline(
      { key: '', globalRules: this.#globalRules(), service: [], pluginConfig: [], route: [] },
      this.#pipelineSurroundings(),
    );
    return this.#notFound;
  }

  dispose(): void {
    for (const entry of this.#routes.values()) entry.retire();
    for (const upstream of this.#upstreams.values()) upstream.dispose();
    this.#notFound?.dispose();
  }

  // What Routes ask for when they are first used.

  pipelineOf(resource: Resource): Pipeline {
    const { value } = resource;
    return compilePipeline(
      {
        key: resource.id,
        globalRules: this.#globalRules(),
        service: this.#bindingsOf('services', value.service_id),
        pluginConfig: this.#bindingsOf('plugin_configs', value.plugin_config_id),
        route: this.#bindingsOf('routes', resource.id),
      },
      this.#pipelineSurroundings(),
    );
  }

  upstreamOf(resource: Resource): Upstream | undefined {
    const { value } = resource;
    if (value.upstream !== undefined)
      return this.#inline(value.upstream as Value, `${resource.kind}/${resource.id}`);
    if (value.upstream_id !== undefined) return this.#byId(String(value.upstream_id));
    const service =
      value.service_id === undefined ? undefined : this.snapshot.get('services', String(value.service_id));
    if (service === undefined) return undefined;
    if (service.value.upstream !== undefined)
      return this.#inline(service.value.upstream as Value, `services/${service.id}`);
    if (service.value.upstream_id !== undefined) return this.#byId(String(service.value.upstream_id));
    return undefined;
  }

  /** The Bindings of a stream route and its Service in the order in which they run, each with its Kit. */
  streamBindingsOf({ id, value }: Resource): { readonly binding: Binding; readonly kit: Kit }[] {
    const own = this.#bindingsOf('stream_routes', id);
    const service = this.#bindingsOf('services', value.service_id);
    return mergeBindings(own, service).map((binding) => ({
      binding,
      kit: new BindingKit(binding, `stream_routes/${id}`, this.#kit),
    }));
  }

  expressionOf(vars: readonly unknown[]): (exchange: Exchange) => boolean {
    const place = { kind: 'routes', id: '' } as const;
    return new BindingKit(
      { plugin: EXPRESSION, config: {}, meta: {}, priority: 0, place },
      '',
      this.#kit,
    ).expression(vars);
  }

  addressSetOf(addresses: readonly string[]): { has(address: string): boolean } {
    return new IpSet(addresses);
  }

  // Changes.

  #put(resource: Resource): void {
    const { kind, id } = resource;
    switch (kind) {
      case 'routes':
        return this.#putRoute(resource);
      case 'services':
      case 'plugin_configs':
        this.#bindings.delete(`${kind}/${id}`);
        return this.#refresh(kind, id);
      case 'upstreams':
        return this.#refresh(kind, id);
      case 'consumers':
        return this.consumers.putConsumer(resource);
      case 'credentials':
        return this.consumers.putCredential(resource);
      case 'consumer_groups':
        return this.consumers.putGroup(resource);
      case 'global_rules':
      case 'plugin_metadata':
        this.#bindings.delete(`${kind}/${id}`);
        return this.#refreshAll();
      case 'ssls':
        return this.#refresh(kind, id);
      case 'stream_routes':
        this.#bindings.delete(`stream_routes/${id}`);
        return this.#dropUpstream(`stream_routes/${id}`);
    }
  }

  #remove(kind: Kind, id: string): void {
    this.#retryBudgets.delete(`${kind}/${id}`);
    switch (kind) {
      case 'routes':
        this.#routes.get(id)?.retire();
        this.#routes.delete(id);
        this.router.remove(id);
        this.#references.forget(id);
        this.#bindings.delete(`routes/${id}`);
        this.#dropUpstream(`routes/${id}`);
        return;
      case 'consumers':
        return this.consumers.removeConsumer(id);
      case 'credentials':
        return this.consumers.removeCredential(id);
      case 'consumer_groups':
        return this.consumers.removeGroup(id);
      case 'global_rules':
      case 'plugin_metadata':
        this.#bindings.delete(`${kind}/${id}`);
        return this.#refreshAll();
      case 'stream_routes':
        this.#bindings.delete(`stream_routes/${id}`);
        return this.#dropUpstream(`stream_routes/${id}`);
      default:
        this.#bindings.delete(`${kind}/${id}`);
        return this.#refresh(kind, id);
    }
  }

  #putRoute(resource: Resource): void {
    const { id, value } = resource;
    this.#routes.get(id)?.retire();
    this.router.remove(id);
    this.#bindings.delete(`routes/${id}`);
    this.#dropUpstream(`routes/${id}`);
    this.#references.note(id, value);
    if (value.status === 0) {
      this.#routes.delete(id);
      return;
    }
    const service =
      value.service_id === undefined ? undefined : this.snapshot.get('services', String(value.service_id));
    const entry = new RouteEntry(resource, service, this);
    this.#routes.set(id, entry);
    this.router.add(entry);
  }

  /** Something that Routes refer to has changed: they are compiled again when they are next used. */
  #refresh(kind: Kind, id: string): void {
    if (kind === 'upstreams') this.#dropUpstream(`upstreams/${id}`);
    if (kind === 'services') {
      this.#dropUpstream(`services/${id}`);
    }
    if (kind === 'ssls') {
      this.onSslChange?.();
      // Only Upstreams look an SSL up by its id, and only those that are for it.
      const ssl = this.snapshot.get('ssls', id)?.value;
      if (ssl !== undefined && ssl.type !== 'client') return;
      for (const key of [...this.#upstreams.keys()]) this.#dropUpstream(key);
      for (const entry of this.#routes.values()) entry.forgetUpstream();
      return;
    }
    for (const routeId of this.#references.routesOf(kind, id)) {
      const resource = this.snapshot.get('routes', routeId);
      if (resource !== undefined) this.#putRoute(resource);
    }
    if (kind === 'upstreams') {
      for (const service of this.#servicesWith(id)) this.#refresh('services', service);
    }
  }

  *#servicesWith(upstreamId: string): Iterable<string> {
    for (const service of this.snapshot.list('services')) {
      if (String(service.value.upstream_id) === upstreamId) yield service.id;
    }
  }

  #refreshAll(): void {
    this.#metadataWithDefaults.clear();
    this.#notFound?.dispose();
    this.#notFound = undefined;
    for (const id of [...this.#routes.keys()]) {
      const resource = this.snapshot.get('routes', id);
      if (resource !== undefined) this.#putRoute(resource);
    }
  }

  // Bindings.

  #bindingsOf(kind: keyof typeof PLACE_KINDS | 'routes' | 'stream_routes', id: unknown): readonly Binding[] {
    if (id === undefined) return NO_BINDINGS;
    const key = `${kind}/${id}`;
    let bindings = this.#bindings.get(key);
    if (bindings === undefined) {
      const plugins = this.snapshot.get(kind, String(id))?.value.plugins as Value | undefined;
      bindings = this.#makeBindings(plugins, { kind, id: String(id) });
      this.#bindings.set(key, bindings);
    }
    return bindings;
  }

  #makeBindings(plugins: Value | undefined, place: Binding['place']): readonly Binding[] {
    const entries = Object.entries(plugins ?? {});
    if (entries.length === 0) return NO_BINDINGS;
    return Object.freeze(
      entries.map(([name, given]): Binding => {
        const plugin = this.#plugins.get(name);
        if (plugin === undefined) throw new ConfigError(`unknown plugin [${name}]`);
        const { _meta: meta = {}, ...own } = given as { _meta?: BindingMeta };
        const config = this.#surroundings.withDefaults(plugin.config, own);
        return Object.freeze({ plugin, config, meta, priority: meta.priority ?? plugin.priority, place });
      }),
    );
  }

  #globalRules(): readonly (readonly Binding[])[] {
    return [...this.snapshot.list('global_rules')].map((rule) =>
      this.#makeBindings(rule.value.plugins as Value | undefined, { kind: 'global_rules', id: rule.id }),
    );
  }

  #pipelineSurroundings() {
    return {
      kitFor: (binding: Binding, routeKey: string) => new BindingKit(binding, routeKey, this.#kit),
      consumerBindings: (consumer: Parameters<Consumers['bindingsOf']>[0]) =>
        this.consumers.bindingsOf(consumer),
    };
  }

  /** The same object until it is configured anew. */
  #metadata(plugin: string): Value | undefined {
    if (this.#metadataWithDefaults.has(plugin)) return this.#metadataWithDefaults.get(plugin);
    const value = this.snapshot.get('plugin_metadata', plugin)?.value;
    const schema = this.#plugins.get(plugin)?.metadata;
    const whole =
      value === undefined || schema === undefined ? value : this.#surroundings.withDefaults(schema, value);
    this.#metadataWithDefaults.set(plugin, whole);
    return whole;
  }

  // Upstreams.

  #byId(id: string): Upstream | undefined {
    const resource = this.snapshot.get('upstreams', id);
    return resource && this.#compileUpstream(resource.value, `upstreams/${id}`, id);
  }

  #inline(value: Value, key: string): Upstream {
    return this.#compileUpstream(value, key, '');
  }

  #upstreamFor(upstream: string | Value, owner: string): Upstream {
    if (typeof upstream !== 'string') return this.#inline(upstream, `${owner}|${JSON.stringify(upstream)}`);
    const found = this.#byId(upstream);
    if (found === undefined)
      throw new ConfigError(`failed to fetch upstream info by upstream id [${upstream}]`);
    return found;
  }

  #compileUpstream(value: Value, key: string, id: string): Upstream {
    let upstream = this.#upstreams.get(key);
    if (upstream === undefined) {
      const { pools, resolver, health, breakers, log, discovered } = this.#surroundings;
      upstream = new Upstream(upstreamOptions(value, key, id, this.snapshot, discovered), {
        pools,
        resolver,
        health,
        breakers,
        log,
        retryBudget: this.#retryBudgets.get(key),
        createBalancer: (options, targets, all) =>
          this.#surroundings.createBalancer(value, options, targets, all),
      });
      this.#upstreams.set(key, upstream);
      this.#retryBudgets.set(key, upstream.retryBudget);
    }
    return upstream;
  }

  /** Its connections are let go only after a successor had the chance to hold them. */
  #dropUpstream(key: string): void {
    const upstream = this.#upstreams.get(key);
    if (upstream === undefined) return;
    this.#upstreams.delete(key);
    setTimeout(() => upstream.dispose(), 1000).unref();
  }
}

const EXPRESSION: Plugin = {
  name: 'vars',
  summary: '',
  priority: 0,
  config: {},
  create: () => ({}),
};
