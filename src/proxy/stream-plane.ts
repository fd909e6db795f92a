// TCP and UDP traffic of one thread: loaded only where a Listener is for one of them.

import type net from 'node:net';
import type { FirstStage } from '../http/first-stage.ts';
import { plainAddress } from '../http/plain-address.ts';
import { listen } from '../http/socket-transport.ts';
import type { Transport, TransportOwner } from '../http/transport.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import type { ExchangeEndSink } from '../model/exchange-end.ts';
import type { Listener } from '../model/listener.ts';
import type { Logger } from '../plugin/kit.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import type { Refusals } from './refusals.ts';
import { streamEnd } from './stream-end.ts';
import type { StreamExchange } from './stream-exchange.ts';
import type { StreamRoutes } from './stream-routes.ts';
import { TcpStream, type TcpStreamHost, type TerminatedTls } from './tcp-stream.ts';
import type { UdpListener } from './udp-listener.ts';

export interface StreamPlaneOptions {
  readonly routes: StreamRoutes;
  /** undefined when nobody wants to know. */
  readonly sink: ExchangeEndSink | undefined;
  readonly log: Logger;
  readonly refusals: Refusals;
  /** undefined for any number of connections. */
  readonly connectionLimits: ConnectionLimits | undefined;
  /** Takes the header of connections on Listeners with PROXY protocol. */
  readonly proxyProtocol: FirstStage | undefined;
  /** In what time a ClientHello must be there. */
  readonly helloDeadlines: Deadlines;
  /** UDP sessions that each Listener keeps at once. */
  readonly maxUdpSessions: number;
}

/** Something that listens, by whatever protocol. */
export interface Listening {
  address(): net.AddressInfo | string | null;
}

export class StreamPlane implements TcpStreamHost {
  readonly routes: StreamRoutes;
  readonly helloDeadlines: Deadlines;
  readonly #options: StreamPlaneOptions;
  readonly #streams = new Set<TcpStream>();
  readonly #servers: net.Server[] = [];
  readonly #udp: UdpListener[] = [];
  #onEmpty: (() => void) | undefined;
  acceptedConnections = 0;

  constructor(options: StreamPlaneOptions) {
    this.routes = options.routes;
    this.helloDeadlines = options.helloDeadlines;
    this.#options = options;
  }

  /** TCP connections that are open. */
  get connectionCount(): number {
    return this.#streams.size;
  }

  /** Accepts traffic on an address; resolves when it does. */
  async listen(listener: Listener, reusePort = false): Promise<Listening> {
    return listener.protocol === 'udp'
      ? this.#listenUdp(listener, reusePort)
      : this.#listenTcp(listener, reusePort);
  }

  #listenTcp({ host, port, tls, proxyProtocol }: Listener, reusePort: boolean): Promise<net.Server> {
    if (tls) {
      throw new Error(
        `${host}:${port}: TLS is not terminated on tcp listeners; leave out tls to pass it on by its server name`,
      );
    }
    const firstStage = proxyProtocol ? this.#options.proxyProtocol : undefined;
    return new Promise((resolve, reject) => {
      const server = listen({ host, port, reusePort, firstStage }, (makeTransport, address) =>
        this.accept(makeTransport, address),
      );
      this.#servers.push(server);
      server.once('error', reject);
      server.once('listening', () => {
        server.off('error', reject);
        server.on('error', (error) => this.#options.log.error('listener failed', { error: error.message }));
        resolve(server);
      });
    });
  }

  /** Takes a client's connection: as it is, or from whoever has terminated its TLS. */
  accept(
    makeTransport: (owner: TransportOwner) => Transport,
    address: string,
    session?: TerminatedTls,
  ): void {
    this.acceptedConnections++;
    const { connectionLimits, refusals } = this.#options;
    const refused = connectionLimits?.enter(plainAddress(address));
    if (refused === undefined) this.#streams.add(new TcpStream(this, makeTransport, session));
    else {
      makeTransport(NOBODY).destroy();
      refusals.add(refused, address);
    }
  }

  async #listenUdp({ host, port }: Listener, reusePort: boolean): Promise<UdpListener> {
    const { UdpListener } = await import('./udp-listener.ts');
    const { log, refusals, maxUdpSessions } = this.#options;
    const listener = new UdpListener({ host: this, log, refusals, maxSessions: maxUdpSessions });
    this.#udp.push(listener);
    await listener.bind(host, port, reusePort);
    return listener;
  }

  /** Stops accepting and waits for connections to end; what is left after `graceMs` is closed. */
  async drain(graceMs: number): Promise<void> {
    for (const server of this.#servers) server.close();
    const udp = Promise.all(this.#udp.map((listener) => listener.drain(graceMs)));
    if (this.#streams.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    await udp;
    for (const stream of [...this.#streams]) stream.destroy();
  }

  // For streams.

  onStreamClosed(stream: TcpStream): void {
    if (!this.#streams.delete(stream)) return;
    this.#options.connectionLimits?.leave(stream.exchange.ends.clientAddress);
    if (this.#streams.size === 0) this.#onEmpty?.();
  }

  record(exchange: StreamExchange): void {
    const { sink } = this.#options;
    if (sink !== undefined) sink.write(streamEnd(exchange, sink.wantsDetail));
  }

  onFailure(exchange: StreamExchange, error: unknown): void {
    this.#options.log.error(`stream failed: ${error instanceof Error ? error.message : String(error)}`, {
      request_id: exchange.id,
      route_id: exchange.routeId,
      stack: error instanceof Error ? error.stack : undefined,
    });
  }
}

/** Owns a connection that is sent away at once. */
const NOBODY: TransportOwner = {
  onConnected() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};
