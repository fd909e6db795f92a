import type tls from 'node:tls';
import { type Connect, ConnectionPool, type PoolOptions } from '../http/connection-pool.ts';
import { connect, connectTls, type TlsOptions } from '../http/socket-transport.ts';

/** What tells one pool from another. */
export interface PoolTarget {
  readonly host: string;
  readonly port: number;
  /** undefined for plain TCP. */
  readonly tls: TlsOptions | undefined;
  /** Everything about TLS that must not be shared between pools, as text. */
  readonly tlsKey: string;
}

interface Held {
  readonly pool: ConnectionPool;
  holders: number;
}

/** The pools of a thread. Held by key, so that a changed configuration keeps its connections. */
export class Pools {
  readonly #pools = new Map<string, Held>();
  readonly #tls: () => typeof tls;

  /** `loadTls` gives node:tls when the first TLS Target needs it. */
  constructor(loadTls: () => typeof tls) {
    this.#tls = loadTls;
  }

  hold(target: PoolTarget, options: PoolOptions): ConnectionPool {
    const key = keyOf(target);
    let held = this.#pools.get(key);
    if (held === undefined) {
      held = { pool: new ConnectionPool(options, this.connector(target)), holders: 0 };
      this.#pools.set(key, held);
    } else held.pool.configure(options);
    held.holders++;
    return held.pool;
  }

  /** Makes connections to a Target that nobody shares. */
  connector({ port, tls: tlsOptions }: PoolTarget): Connect {
    return tlsOptions === undefined
      ? (address, owner, preface) => connect(address, port, owner, preface)
      : (address, owner, preface) => connectTls(this.#tls(), address, port, tlsOptions, owner, preface);
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
  return `${target.host}|${target.port}|${target.tlsKey}`;
}
