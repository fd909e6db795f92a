// A data plane inside the test's own process, on a port of its own, without the server around it.
import http2 from 'node:http2';
import type net from 'node:net';
import tls from 'node:tls';
import type { ClientLimits } from '../../src/http/server-exchange.ts';
import { type Deadlines, deadlinesOf } from '../../src/lib/deadlines.ts';
import type { ExchangeEnd, ExchangeEndSink } from '../../src/model/exchange-end.ts';
import { resolveListener } from '../../src/model/listener.ts';
import type { Kind, Value } from '../../src/model/resource.ts';
import { Snapshot } from '../../src/model/snapshot.ts';
import type { Breakers } from '../../src/plugin/breakers.ts';
import type { Cache } from '../../src/plugin/cache.ts';
import { definePlugin, type Handlers, type Plugin } from '../../src/plugin/define-plugin.ts';
import type { Kit, Logger } from '../../src/plugin/kit.ts';
import type { Limits } from '../../src/plugin/limits.ts';
import { NaiveBreakers, PlainNumbers } from '../../src/plugin/testing.ts';
import { DataPlane } from '../../src/proxy/data-plane.ts';
import { sendOwnRequest } from '../../src/proxy/own-requests.ts';
import { Pools } from '../../src/proxy/pools.ts';
import { Runtime } from '../../src/proxy/runtime.ts';
import type { AddressSource } from '../../src/proxy/upstream.ts';
import type { HealthSource } from '../../src/state/memory/target-health.ts';
import { until } from './raw.ts';

/** A Route under `/<id>/`, or everything when the id is `all`. */
export function route(id: string, ports: number | readonly number[], more: Value = {}): Value {
  const nodes = (typeof ports === 'number' ? [ports] : ports).map((port) => ({
    host: '127.0.0.1',
    port,
    weight: 1,
  }));
  const { upstream, ...rest } = more as { upstream?: Value };
  return {
    id,
    uri: id === 'all' ? '/*' : `/${id}/*`,
    upstream: { type: 'roundrobin', nodes, ...upstream },
    ...rest,
  };
}

/** A Plugin made of handlers alone. */
export function plugin(
  name: string,
  handlers: Handlers | ((kit: Kit) => Handlers),
  more: Partial<Pick<Plugin, 'needsBody' | 'priority' | 'credential'>> = {},
): Plugin {
  return definePlugin({
    name,
    summary: 'Made for a test.',
    priority: 1000,
    config: {},
    ...more,
    create: (_config: unknown, kit: Kit) => (typeof handlers === 'function' ? handlers(kit) : handlers),
  } as never);
}

/** A record of an Exchange as the sink got it, with the text of its ranges. */
export interface Recorded extends ExchangeEnd {
  readonly method: string;
  readonly targetText: string;
}

export interface GatewayOptions {
  readonly routes: readonly Value[];
  readonly globalRules?: readonly Value[];
  readonly plugins?: readonly Plugin[];
  readonly limits?: Partial<ClientLimits>;
  readonly maxCollectedBytes?: number;
  /** Addresses of hops whose X-Forwarded-* are believed. */
  readonly trusted?: readonly string[];
  readonly resolver?: AddressSource;
  readonly breakers?: Breakers;
  readonly health?: HealthSource;
  /** What its Listener accepts, besides HTTP/1.1. */
  readonly listener?: { readonly http2?: boolean };
  /** Zones for stored responses. */
  readonly cache?: (zone: string) => Cache | undefined;
  /** Takes the ends of Exchanges in place of `records`. */
  readonly sink?: ExchangeEndSink;
}

const LOOPBACK: AddressSource = {
  addresses: () => ['127.0.0.1'],
  resolve: () => Promise.resolve(['127.0.0.1']),
  watch: () => () => {},
};

const NEVER: Deadlines = deadlinesOf(0);

export class Gateway {
  readonly records: Recorded[] = [];
  readonly errors: string[] = [];
  readonly dataPlane: DataPlane;
  readonly runtime: Runtime;
  readonly pools = new Pools({ tls: () => tls, http2: () => http2 });
  #server: net.Server | undefined;

  constructor(options: GatewayOptions) {
    const snapshot = new Snapshot();
    const put = (kind: Kind, value: Value, index: number) => ({
      kind,
      id: String(value.id ?? index),
      workspace: 'default',
      createdRevision: 1,
      modifiedRevision: 1,
      value,
    });
    snapshot.apply({
      revision: 1,
      removals: [],
      puts: [
        ...(options.globalRules ?? []).map((value, index) => put('global_rules', value, index)),
        ...options.routes.map((value, index) => put('routes', value, index)),
      ],
    });
    const log: Logger = {
      error: (message) => this.errors.push(message),
      warn: () => {},
      info: () => {},
      debug: () => {},
    };
    this.runtime = new Runtime(snapshot, {
      plugins: options.plugins ?? [],
      limits: {} as Limits,
      breakers: options.breakers ?? new NaiveBreakers({ now: Date.now, monotonic: () => performance.now() }),
      health: options.health,
      shared: new PlainNumbers(),
      log,
      clock: { now: Date.now, monotonic: () => performance.now() },
      random: Math.random,
      delay: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds).unref()),
      send: sendOwnRequest,
      gauge: () => {},
      cache: options.cache,
      withDefaults: (_schema, config) => config as Value,
      createBalancer: (_value, _options, targets) => ({
        pick: (_subject, tried) => targets.find((target) => !tried.includes(target)),
      }),
      pools: this.pools,
      resolver: options.resolver ?? LOOPBACK,
    });
    this.dataPlane = new DataPlane(this.runtime, {
      limits: {
        maxTarget: 8192,
        maxFields: 100,
        maxHeadBytes: 32 * 1024,
        maxBodyBytes: 0,
        maxRequests: 1_000_000,
        head: NEVER,
        body: NEVER,
        idle: NEVER,
        send: NEVER,
        ...options.limits,
      },
      trusted: options.trusted && new Set(options.trusted),
      sink: options.sink ?? { wantsDetail: true, write: (end) => this.#record(end) },
      log,
      maxCollectedBytes: options.maxCollectedBytes ?? 1 << 20,
    });
  }

  /** Listens; closed with everything else when the test is over. */
  static async start(
    test: { after(callback: () => Promise<void>): void },
    options: GatewayOptions,
  ): Promise<Gateway> {
    const gateway = new Gateway(options);
    test.after(() => gateway.close());
    gateway.#server = await gateway.dataPlane.listen(
      resolveListener({ address: '127.0.0.1:0', ...options.listener }),
    );
    return gateway;
  }

  get port(): number {
    return (this.#server!.address() as net.AddressInfo).port;
  }

  async close(): Promise<void> {
    await this.dataPlane.drain(10);
    this.runtime.dispose();
    this.pools.close();
  }

  /** Waits for the number of records, and a moment longer for one too many. */
  async recorded(count: number): Promise<readonly Recorded[]> {
    await until(`${count} records, there are ${this.records.length}`, () => this.records.length >= count);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.records.length !== count)
      throw new Error(
        `expected ${count} records, got ${this.records.map((record) => `${record.status} ${record.reason}`)}`,
      );
    return this.records;
  }

  #record(end: ExchangeEnd): void {
    const text = (start: number, to: number) =>
      start < 0 ? '' : Buffer.from(end.head.subarray(start, to)).latin1Slice();
    this.records.push({
      ...end,
      head: Buffer.from(end.head),
      method: text(end.methodStart, end.methodEnd),
      targetText: text(end.targetStart, end.targetEnd),
    });
  }
}
