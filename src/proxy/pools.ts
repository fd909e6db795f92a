import type http2 from 'node:http2';
import type tls from 'node:tls';
import { type Connect, ConnectionPool } from '../http/connection-pool.ts';
import { connect, connectTls, type TlsOptions } from '../http/socket-transport.ts';
import type { PoolOptions, UpstreamPool } from '../http/upstream-pool.ts';
import { SessionPool } from '../http2/session-pool.ts';

/** What tells one pool from another. */
export interface PoolTarget {
  readonly host: string;
  readonly port: number;
  /** undefined for plain TCP. */
  readonly tls: TlsOptions | undefined;
  /** Everything about TLS that must not be shared between pools, as text. */
  readonly tlsKey: string;
  /** It is spoken to in HTTP/2. */
  readonly http2: boolean;
}

/** Parts of Node that plain traffic doesn't load. */
export interface OptionalModules {
  tls(): typeof tls;
  http2(): typeof http2;
}

interface Held {
  readonly pool: UpstreamPool;
  holders: number;
}

/** The pools of a thread. Held by key, so that a changed configuration keeps its connections. */
export class Pools {
  readonly #pools = new Map<string, Held>();
  readonly #modules: OptionalModules;

  constructor(modules: OptionalModules) {
    this.#modules = modules;
  }

  hold(target: PoolTarget, options: PoolOptions): UpstreamPool {
    const key = keyOf(target);
    let held = this.#pools.get(key);
    if (held === undefined) {
      held = { pool: this.#create(target, options), holders: 0 };
      this.#pools.set(key, held);
    } else held.pool.configure(options);
    held.holders++;
    return held.pool;
  }

  #create(target: PoolTarget, options: PoolOptions): UpstreamPool {
    const { http2, port, tls: tlsOptions } = target;
    if (http2) return new SessionPool(options, { ...this.#modules, port, tlsOptions });
    return new ConnectionPool(options, this.connector(target));
  }

  /** Makes connections to a Target that nobody shares. */
  connector({ port, tls: tlsOptions }: PoolTarget): Connect {
    return tlsOptions === undefined
      ? (address, owner, preface) => connect(address, port, owner, preface)
      : (address, owner, preface) =>
          connectTls(this.#modules.tls(), address, port, tlsOptions, owner, preface);
  }

  letGo(target: PoolTarget): void {
    const key = keyOf(target);
    const held = this.#pools.get(key);
    if (held === undefined || --held.holders > 0) return;
    this.#pools.delete(key);
    held.pool.close();
  }

  close(): void {
    for (const { pool } of this.#pools.values()) pool.close();
    this.#pools.clear();
  }
}

function keyOf(target: PoolTarget): string {
  return `${target.host}|${target.port}|${target.http2 ? 'h2' : ''}|${target.tlsKey}`;
}
