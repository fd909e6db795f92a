import type http2 from 'node:http2';
import net from 'node:net';
import type tls from 'node:tls';
import type { TlsOptions } from '../http/socket-transport.ts';
import { UpstreamConnection, type UpstreamExchange } from '../http/upstream-connection.ts';
import type { PoolOptions, UpstreamPool } from '../http/upstream-pool.ts';
import { type Deadlines, deadlinesOf } from '../lib/deadlines.ts';
import { UpstreamSession } from './upstream-session.ts';
import { UpstreamStream } from './upstream-stream.ts';

/** Where sessions lead, and the parts of Node that they need. */
export interface SessionTarget {
  readonly port: number;
  /** undefined for HTTP/2 in cleartext, with prior knowledge (RFC 9113 3.3). */
  readonly tlsOptions: TlsOptions | undefined;
  tls(): typeof tls;
  http2(): typeof http2;
}

/** The HTTP/2 sessions of this thread to one Target. The first that has room takes the next request. */
export class SessionPool implements UpstreamPool {
  options: PoolOptions;
  readonly target: SessionTarget;
  /** Those that take requests, or will when they are connected. */
  readonly #sessions: UpstreamSession[] = [];
  #addresses: readonly string[] = [];
  #turn = 0;
  #idleDeadlines: Deadlines;
  #closed = false;
  count = 0;

  constructor(options: PoolOptions, target: SessionTarget) {
    this.options = options;
    this.#idleDeadlines = deadlinesOf(options.idleTimeout);
    this.target = target;
  }

  configure(options: PoolOptions): void {
    this.options = options;
    this.#idleDeadlines = deadlinesOf(options.idleTimeout);
  }

  restrict(addresses: readonly string[]): void {
    this.#addresses = addresses;
    if (addresses.length === 0) return;
    for (const session of [...this.#sessions]) if (!addresses.includes(session.address)) session.close();
  }

  take(exchange: UpstreamExchange): UpstreamConnection | undefined {
    // The addresses of a name take turns.
    const { length } = this.#addresses;
    const address = length > 1 ? this.#addresses[this.#turn++ % length] : undefined;
    const session = this.#find(true, address);
    if (session === undefined) return undefined;
    const connection = new UpstreamConnection(this);
    const stream = new UpstreamStream(connection);
    connection.address = session.address;
    connection.transport = stream;
    this.count++;
    connection.beginReady(exchange);
    session.join(stream);
    return connection;
  }

  open(address: string, exchange: UpstreamExchange, connectDeadlines: Deadlines): UpstreamConnection {
    const connection = new UpstreamConnection(this);
    const stream = new UpstreamStream(connection);
    connection.address = address;
    connection.transport = stream;
    this.count++;
    connection.begin(exchange);
    connectDeadlines.arm(connection);
    // A session that is ready was there to be taken, unless its request has just failed.
    (this.#find(false, address) ?? this.#connect(address)).join(stream);
    return connection;
  }

  /** A Target has refused a stream: tries another. */
  again(stream: UpstreamStream, address: string): void {
    (this.#find(true, address) ?? this.#find(false, address) ?? this.#connect(address)).join(stream);
  }

  #find(ready: boolean, address: string | undefined): UpstreamSession | undefined {
    return this.#sessions.find(
      (session) =>
        session.ready === ready &&
        session.usable &&
        session.room > 0 &&
        (address === undefined || session.address === address),
    );
  }

  #connect(address: string): UpstreamSession {
    const session = new UpstreamSession(this, address);
    if (!this.#closed) this.#sessions.push(session);
    return session;
  }

  connect(host: string, port: number): net.Socket {
    return net.connect({ host, port });
  }

  onIdle(session: UpstreamSession): void {
    const idle = this.#sessions.filter((other) => other.idle).length;
    if (this.#closed || idle > this.options.size) session.close();
    else this.#idleDeadlines.arm(session);
  }

  onGone(session: UpstreamSession): void {
    const index = this.#sessions.indexOf(session);
    if (index >= 0) this.#sessions.splice(index, 1);
  }

  release(connection: UpstreamConnection): void {
    (connection.transport as UpstreamStream).release();
    connection.destroy();
  }

  onClosed(_connection: UpstreamConnection): void {
    this.count--;
  }

  close(): void {
    this.#closed = true;
    for (const session of [...this.#sessions]) session.close();
  }
}
