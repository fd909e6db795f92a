import { isIP } from 'node:net';
import type { Balancer, Target as BalancerTarget } from '../balancers/balancer.ts';
import type { ProxyVersion } from '../http/proxy-header.ts';
import type { TlsOptions } from '../http/socket-transport.ts';
import type { Transport, TransportOwner } from '../http/transport.ts';
import type { UpstreamFailure } from '../http/upstream-connection.ts';
import type { PoolOptions, UpstreamPool } from '../http/upstream-pool.ts';
import { deadlinesOf } from '../lib/deadlines.ts';
import type { CompleteHealthCheck } from '../model/health-check.ts';
import type { CircuitBreakerOptions, RetryBudgetOptions, SlowStart, Timeout } from '../model/upstream.ts';
import type { Breakers } from '../plugin/breakers.ts';
import type { UpstreamHandle } from '../plugin/exchange.ts';
import type { Logger } from '../plugin/kit.ts';
import { type Reply, reply } from '../plugin/reply.ts';
import type { VariableSource } from '../plugin/variable.ts';
import type { HealthSource, TargetHealth } from '../state/memory/target-health.ts';
import { AvailableTargets } from './available-targets.ts';
import type { Timeouts } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import { PassiveCheck } from './passive-check.ts';
import type { Pools, PoolTarget } from './pools.ts';
import { RetryBudget } from './retry-budget.ts';
import { UpstreamBreaker } from './upstream-breaker.ts';

/** How names become addresses; last good answers are kept. */
export interface AddressSource {
  addresses(host: string): readonly string[] | undefined;
  resolve(host: string): Promise<readonly string[]>;
  watch(host: string, onChange: (host: string, addresses: readonly string[]) => void): () => void;
}

/** An Upstream's configuration, defaults filled in. */
export interface UpstreamOptions {
  /** Names its state across reloads: an id, or the Route that holds it inline. */
  readonly key: string;
  readonly id: string;
  /** The service whose Targets these are; undefined where they are configured. */
  readonly service: string | undefined;
  readonly targets: readonly BalancerTarget[];
  readonly scheme: 'http' | 'https';
  /** Its Targets are spoken to in HTTP/2. */
  readonly http2: boolean;
  readonly passHost: 'pass' | 'node' | 'rewrite';
  readonly upstreamHost: string;
  /** Further Targets tried after the first; undefined means as many as there are. */
  readonly retries: number | undefined;
  /** Milliseconds after which no further attempt begins; 0 means no limit. */
  readonly retryTimeout: number;
  readonly timeouts: Timeouts;
  /** Milliseconds of silence after which a stream ends; undefined where nothing is configured. */
  readonly idleTimeout: number | undefined;
  /** How each connection to a Target says for which client it is; undefined: not at all. */
  readonly proxyProtocol: ProxyVersion | undefined;
  readonly pool: PoolOptions;
  readonly tls: TlsOptions | undefined;
  readonly tlsKey: string;
  readonly checks: CompleteHealthCheck | undefined;
  readonly slowStart: SlowStart | undefined;
  readonly retryBudget: RetryBudgetOptions;
  readonly circuitBreaker: CircuitBreakerOptions | undefined;
}

/** What an Upstream needs from its thread. */
export interface UpstreamSurroundings {
  readonly pools: Pools;
  readonly resolver: AddressSource;
  /** Where the health of Targets is kept; absent where nothing is known of it. */
  readonly health?: HealthSource | undefined;
  readonly breakers?: Breakers | undefined;
  /** Told when a breaker opens or closes. */
  readonly log?: Logger | undefined;
  /** The budget of the Upstream in whose place this one comes. */
  readonly retryBudget?: RetryBudget | undefined;
  /** Makes one of some of its Targets, `all` of which may come to be used. */
  createBalancer(options: UpstreamOptions, targets: readonly Target[], all: readonly Target[]): Balancer;
}

/** A set of Targets with all that is needed to send a request to one of them. */
export class Upstream implements UpstreamHandle {
  readonly key: string;
  readonly id: string;
  readonly passHost: 'pass' | 'node' | 'rewrite';
  readonly upstreamHost: string;
  readonly retryTimeout: number;
  readonly timeouts: Timeouts;
  readonly idleTimeout: number | undefined;
  readonly scheme: 'http' | 'https';
  readonly service: string | undefined;
  targets: readonly Target[] = [];
  readonly retryBudget: RetryBudget;
  readonly breaker: UpstreamBreaker | undefined;
  readonly #options: UpstreamOptions;
  readonly #surroundings: UpstreamSurroundings;
  readonly #health: HealthSource | undefined;
  readonly #passive: PassiveCheck | undefined;
  #available: AvailableTargets | undefined;
  #balancer: Balancer | undefined;
  #only: Target | undefined;

  constructor(options: UpstreamOptions, surroundings: UpstreamSurroundings) {
    this.key = options.key;
    this.id = options.id;
    this.passHost = options.passHost;
    this.upstreamHost = options.upstreamHost;
    this.retryTimeout = options.retryTimeout;
    this.timeouts = options.timeouts;
    this.idleTimeout = options.idleTimeout;
    this.scheme = options.scheme;
    this.service = options.service;
    this.#options = options;
    this.#surroundings = surroundings;
    const { checks, slowStart, circuitBreaker } = options;
    const { breakers } = surroundings;
    this.#passive = checks?.passive && new PassiveCheck(checks.passive, checks.active !== undefined);
    this.#health = checks !== undefined || slowStart !== undefined ? surroundings.health : undefined;
    this.retryBudget = new RetryBudget(options.retryBudget, surroundings.retryBudget);
    if (circuitBreaker !== undefined && breakers !== undefined)
      this.breaker = new UpstreamBreaker(options.key, circuitBreaker, breakers, surroundings.log);
    this.retarget(options.targets);
  }

  /**
   * Takes the Targets that are used from now on. Those that stay as they were are the same objects;
   * connections, health and load hang on the key, and stay also where weight or priority are others.
   */
  retarget(wanted: readonly BalancerTarget[]): void {
    const before = new Map(this.targets.map((target) => [target.key, target]));
    const targets = wanted.map((one) => {
      const known = before.get(one.key);
      if (known?.isStill(one) === true && before.delete(one.key)) {
        known.weight = one.weight;
        return known;
      }
      const health = this.#health?.target(this.key, one.key);
      return new Target(one, this.#options, this.#surroundings, health, this.#passive);
    });
    // Balancers tell Targets apart by identity, so it is done here.
    if (targets.every(({ weight }) => weight === 0)) for (const target of targets) target.weight = 1;
    this.targets = targets;
    this.#balance(targets);
    // Now that those who come after them hold their connections.
    for (const target of before.values()) target.dispose();
  }

  #balance(targets: readonly Target[]): void {
    this.#available = this.#balancer = undefined;
    this.#only = targets.length === 1 ? targets[0] : undefined;
    if (targets.length < 2) return;
    const { createBalancer } = this.#surroundings;
    const balancer = createBalancer(this.#options, targets, targets);
    this.#balancer = balancer;
    for (const target of targets) target.balancer = balancer;
    if (this.#health === undefined) return;
    const { checks, slowStart } = this.#options;
    this.#available = new AvailableTargets(
      targets,
      { probed: checks?.active !== undefined, slowStart },
      this.#health,
      balancer,
      (some) => createBalancer(this.#options, some, targets),
    );
  }

  /** The answer when no Target can be asked: 503 where there is none at all, else 502. */
  get noTarget(): Reply {
    return this.targets.length === 0 ? NO_TARGETS : NO_TARGET;
  }

  /** The Target to ask next, none of those tried. */
  pick(exchange: VariableSource, tried: readonly Target[]): Target | undefined {
    if (this.#only !== undefined) return tried.length === 0 ? this.#only : undefined;
    if (this.#available !== undefined) return this.#available.pick(exchange, tried);
    // What a Balancer picks is one of what it was given.
    return this.#balancer?.pick(exchange, tried) as Target | undefined;
  }

  /** The Targets that are passed over now; with health unknown or all of them unhealthy, none is. */
  unhealthy(): readonly Target[] {
    return this.#available?.unhealthy() ?? this.targets.filter(({ health }) => health?.unhealthy);
  }

  retriesFor(): number {
    return this.#options.retries ?? Math.max(0, this.targets.length - 1);
  }

  /** Its connections are kept for those who still hold the same Targets. */
  dispose(): void {
    for (const target of this.targets) target.dispose();
  }
}

const NO_TARGETS = reply(503, undefined, { reason: 'no_target' });
const NO_TARGET = reply(502, undefined, { reason: 'no_target' });

/** One address of an Upstream, with its connections. */
export class Target implements BalancerTarget {
  readonly host: string;
  readonly port: number;
  /** As configured, or less while it warms up. */
  weight: number;
  readonly priority: number;
  readonly key: string;
  /** What is known of it, where its Upstream asks for that. */
  readonly health: TargetHealth | undefined;
  readonly #passive: PassiveCheck | undefined;
  /** The Host field when the Upstream passes the node's. */
  readonly hostField: string;
  readonly pool: UpstreamPool;
  readonly proxyProtocol: ProxyVersion | undefined;
  balancer: Balancer | undefined;
  /** As it was configured or discovered. */
  readonly #written: BalancerTarget;
  readonly #resolver: AddressSource;
  readonly #literal: string | undefined;
  readonly #pools: Pools;
  readonly #poolTarget: PoolTarget;
  readonly #unwatch: (() => void) | undefined;
  #turn = 0;

  constructor(
    target: BalancerTarget,
    options: UpstreamOptions,
    surroundings: UpstreamSurroundings,
    health?: TargetHealth,
    passive?: PassiveCheck,
  ) {
    this.health = health;
    if (health !== undefined) this.#passive = passive;
    this.#written = target;
    this.host = target.host;
    this.port = target.port;
    this.weight = target.weight;
    this.priority = target.priority;
    this.key = target.key;
    const usual = options.scheme === 'https' ? 443 : 80;
    const bare = target.host.replace(/^\[|\]$/g, '');
    const name = isIP(bare) === 6 ? `[${bare}]` : bare;
    this.hostField = target.port === usual ? name : `${name}:${target.port}`;
    this.#resolver = surroundings.resolver;
    this.#pools = surroundings.pools;
    this.proxyProtocol = options.proxyProtocol;
    this.#poolTarget = {
      host: bare,
      port: target.port,
      tls: options.tls && withServerName(options.tls, bare),
      tlsKey: options.proxyProtocol === undefined ? options.tlsKey : `${options.tlsKey}|announced`,
      http2: options.http2,
    };
    this.pool = surroundings.pools.hold(this.#poolTarget, options.pool);
    if (isIP(bare) !== 0) this.#literal = bare;
    else {
      const { pool } = this;
      pool.restrict(surroundings.resolver.addresses(bare) ?? []);
      this.#unwatch = surroundings.resolver.watch(bare, (_, addresses) => pool.restrict(addresses));
    }
  }

  isStill({ weight, priority }: BalancerTarget): boolean {
    return weight === this.#written.weight && priority === this.#written.priority;
  }

  started(): void {
    this.balancer?.started?.(this);
  }

  finished(latencyMs: number, failed: boolean): void {
    this.balancer?.finished?.(this, latencyMs, failed);
  }

  /** What an answer's status tells about it. */
  answered(status: number): void {
    if (this.#passive !== undefined) this.#passive.onStatus(this.health!, status);
  }

  failedBy(failure: UpstreamFailure): void {
    if (this.#passive !== undefined) this.#passive.onFailure(this.health!, failure);
  }

  /** An address to connect to, those of a name by turns; undefined while none is known. */
  address(): string | undefined {
    if (this.#literal !== undefined) return this.#literal;
    const addresses = this.#resolver.addresses(this.#poolTarget.host);
    if (addresses === undefined || addresses.length === 0) return undefined;
    return addresses[this.#turn++ % addresses.length];
  }

  /** Looks the name up for an Exchange that can't go on without. */
  waitForAddress(exchange: Exchange, then: (found: boolean) => void): void {
    void exchange.wait(this.resolve(), then);
  }

  /** Looks the name up; false when it has no address. */
  resolve(): Promise<boolean> {
    return this.#resolver.resolve(this.#poolTarget.host).then(
      (addresses) => addresses.length > 0,
      () => false,
    );
  }

  /** A connection of one's own, not from the pool. */
  connect(address: string, owner: TransportOwner, preface?: Buffer): Transport {
    return this.#pools.connector(this.#poolTarget)(address, owner, preface);
  }

  dispose(): void {
    this.#unwatch?.();
    this.#pools.letGo(this.#poolTarget);
  }
}

/** A connection is made to an address: the name to ask for, and to prove, is the Target's where none is configured. */
function withServerName(tls: TlsOptions, host: string): TlsOptions {
  return tls.servername !== undefined || isIP(host) !== 0 ? tls : { ...tls, servername: host };
}

/** Deadline lists for timeouts in seconds. */
export function timeoutsOf(timeout: Timeout): Timeouts {
  return {
    connect: deadlinesOf(timeout.connect * 1000),
    send: deadlinesOf(timeout.send * 1000),
    read: deadlinesOf(timeout.read * 1000),
    total: timeout.total === undefined ? undefined : deadlinesOf(timeout.total * 1000),
  };
}
