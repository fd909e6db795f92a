import { type Deadlines, deadlinesOf } from '../lib/deadlines.ts';
import type { Transport, TransportOwner } from './transport.ts';
import { UpstreamConnection, type UpstreamExchange } from './upstream-connection.ts';
import type { PoolOptions, UpstreamPool } from './upstream-pool.ts';

/** Makes a connection to an address; `preface` goes in front of everything. */
export type Connect = (address: string, owner: TransportOwner, preface?: Buffer) => Transport;

/**
 * The connections of this thread to one Target. The idle one used last is used first, so that the
 * others can grow old and close.
 */
export class ConnectionPool implements UpstreamPool {
  readonly #connect: Connect;
  #options: PoolOptions;
  #idleDeadlines: Deadlines;
  readonly #idle: UpstreamConnection[] = [];
  #closed = false;
  /** Where connections may lead; none for anywhere. */
  #addresses: readonly string[] = [];
  #turn = 0;
  count = 0;

  constructor(options: PoolOptions, connect: Connect) {
    this.#options = options;
    this.#idleDeadlines = deadlinesOf(options.idleTimeout);
    this.#connect = connect;
  }

  configure(options: PoolOptions): void {
    this.#options = options;
    this.#idleDeadlines = deadlinesOf(options.idleTimeout);
  }

  restrict(addresses: readonly string[]): void {
    this.#addresses = addresses;
    if (addresses.length === 0) return;
    for (const connection of this.#idle.slice()) {
      if (!addresses.includes(connection.address)) connection.destroy();
    }
  }

  take(exchange: UpstreamExchange): UpstreamConnection | undefined {
    const connection = this.#addresses.length > 1 ? this.#takeInTurn() : this.#idle.pop();
    connection?.begin(exchange);
    return connection;
  }

  /** The addresses of a name take turns; the one that was used last would else be the only one used. */
  #takeInTurn(): UpstreamConnection | undefined {
    const address = this.#addresses[this.#turn++ % this.#addresses.length];
    const index = this.#idle.findLastIndex((connection) => connection.address === address);
    return index < 0 ? undefined : this.#idle.splice(index, 1)[0];
  }

  open(
    address: string,
    exchange: UpstreamExchange,
    connectDeadlines: Deadlines,
    preface?: Buffer,
  ): UpstreamConnection {
    const connection = new UpstreamConnection(this);
    this.count++;
    connection.address = address;
    connection.begin(exchange);
    connectDeadlines.arm(connection);
    connection.transport = this.#connect(address, connection, preface);
    return connection;
  }

  release(connection: UpstreamConnection): void {
    const { size, maxRequests } = this.#options;
    if (
      this.#closed ||
      this.#idle.length >= size ||
      (maxRequests > 0 && connection.requests >= maxRequests) ||
      (this.#addresses.length > 0 && !this.#addresses.includes(connection.address))
    ) {
      connection.destroy();
      return;
    }
    this.#idle.push(connection);
    this.#idleDeadlines.arm(connection);
  }

  onClosed(connection: UpstreamConnection): void {
    this.count--;
    if (connection.exchange !== null || !connection.reused) return;
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.slice()) connection.destroy();
  }
}
