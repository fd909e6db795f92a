import { isIP } from 'node:net';
import type { Balancer, Target as BalancerTarget } from '../balancers/balancer.ts';
import type { ConnectionPool, PoolOptions } from '../http/connection-pool.ts';
import type { ProxyVersion } from '../http/proxy-header.ts';
import type { TlsOptions } from '../http/socket-transport.ts';
import type { Transport, TransportOwner } from '../http/transport.ts';
import { deadlinesOf } from '../lib/deadlines.ts';
import type { UpstreamHandle } from '../plugin/exchange.ts';
import { type Reply, reply } from '../plugin/reply.ts';
import type { VariableSource } from '../plugin/variable.ts';
import type { Timeouts } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import type { Pools, PoolTarget } from './pools.ts';

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
  readonly targets: readonly BalancerTarget[];
  readonly scheme: 'http' | 'https';
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
}

/** What an Upstream needs from its thread. */
export interface UpstreamSurroundings {
  readonly pools: Pools;
  readonly resolver: AddressSource;
  createBalancer(options: UpstreamOptions, targets: readonly Target[]): Balancer;
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
  readonly targets: readonly Target[];
  /** The answer when no Target can be asked: 503 where there is none at all, else 502. */
  readonly noTarget: Reply;
  readonly #retries: number;
  readonly #balancer: Balancer | undefined;
  readonly #only: Target | undefined;

  constructor(options: UpstreamOptions, surroundings: UpstreamSurroundings) {
    this.key = options.key;
    this.id = options.id;
    this.passHost = options.passHost;
    this.upstreamHost = options.upstreamHost;
    this.retryTimeout = options.retryTimeout;
    this.timeouts = options.timeouts;
    this.idleTimeout = options.idleTimeout;
    this.scheme = options.scheme;
    this.targets = options.targets.map((target) => new Target(target, options, surroundings));
    this.noTarget = reply(this.targets.length === 0 ? 503 : 502, undefined, { reason: 'no_target' });
    this.#retries = options.retries ?? Math.max(0, this.targets.length - 1);
    if (this.targets.length === 1) this.#only = this.targets[0];
    else if (this.targets.length > 1) {
      this.#balancer = surroundings.createBalancer(options, this.targets);
      for (const target of this.targets) target.balancer = this.#balancer;
    }
  }

  /** The Target to ask next, none of those tried. */
  pick(exchange: VariableSource, tried: readonly Target[]): Target | undefined {
    if (this.#only !== undefined) return tried.length === 0 ? this.#only : undefined;
    // What a Balancer picks is one of what it was given.
    return this.#balancer?.pick(exchange, tried) as Target | undefined;
  }

  retriesFor(): number {
    return this.#retries;
  }

  /** Its connections are kept for those who still hold the same Targets. */
  dispose(): void {
    for (const target of this.targets) target.dispose();
  }
}

/** One address of an Upstream, with its connections. */
export class Target implements BalancerTarget {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  readonly key: string;
  /** The Host field when the Upstream passes the node's. */
  readonly hostField: string;
  readonly pool: ConnectionPool;
  readonly proxyProtocol: ProxyVersion | undefined;
  balancer: Balancer | undefined;
  readonly #resolver: AddressSource;
  readonly #literal: string | undefined;
  readonly #pools: Pools;
  readonly #poolTarget: PoolTarget;
  readonly #unwatch: (() => void) | undefined;
  #turn = 0;

  constructor(target: BalancerTarget, options: UpstreamOptions, surroundings: UpstreamSurroundings) {
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
    };
    this.pool = surroundings.pools.hold(this.#poolTarget, options.pool);
    if (isIP(bare) !== 0) this.#literal = bare;
    else {
      const { pool } = this;
      pool.restrict(surroundings.resolver.addresses(bare) ?? []);
      this.#unwatch = surroundings.resolver.watch(bare, (_, addresses) => pool.restrict(addresses));
    }
  }

  started(): void {
    this.balancer?.started?.(this);
  }

  finished(latencyMs: number, failed: boolean): void {
    this.balancer?.finished?.(this, latencyMs, failed);
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
export function timeoutsOf(timeout: { connect: number; send: number; read: number }): Timeouts {
  return {
    connect: deadlinesOf(timeout.connect * 1000),
    send: deadlinesOf(timeout.send * 1000),
    read: deadlinesOf(timeout.read * 1000),
  };
}
