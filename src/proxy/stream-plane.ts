// TCP and UDP traffic of one thread: loaded only where a Listener is for one of them.

import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FirstStage } from '../http/first-stage.ts';
import { plainAddress } from '../http/plain-address.ts';
import { SocketTransport } from '../http/socket-transport.ts';
import type { TransportOwner } from '../http/transport.ts';
import type { Deadlines } from '../lib/deadlines.ts';
import type { ExchangeEndSink } from '../model/exchange-end.ts';
import type { Listener, Sharing } from '../model/listener.ts';
import type { Logger } from '../plugin/kit.ts';
import type { ServerCertificates } from '../tls/server-certificates.ts';
import type { HandshakeFigures, TlsAcceptor } from '../tls/tls-acceptor.ts';
import { type Accepting, acceptConnections } from './accept-connections.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import type { Refusals } from './refusals.ts';
import { streamEnd } from './stream-end.ts';
import type { StreamExchange } from './stream-exchange.ts';
import type { StreamRoutes } from './stream-routes.ts';
import { TcpStream, type TcpStreamHost } from './tcp-stream.ts';
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
  /** For Listeners with TLS. */
  readonly certificates?: ServerCertificates | undefined;
  readonly handshakes: HandshakeFigures;
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
  readonly #acceptors: TlsAcceptor[] = [];
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
  async listen(listener: Listener, sharing: Sharing = {}): Promise<Listening> {
    return listener.protocol === 'udp'
      ? this.#listenUdp(listener, sharing)
      : this.#listenTcp(listener, sharing);
  }

  async #listenTcp(listener: Listener, sharing: Sharing): Promise<net.Server> {
    const { host, port, tls, proxyProtocol } = listener;
    const firstStage = proxyProtocol ? this.#options.proxyProtocol : undefined;
    const acceptor = tls ? await this.#tlsAcceptor() : undefined;
    const accepting: Accepting = {
      log: this.#options.log,
      acceptor,
      enter: (address) => this.#enter(address),
      take: (makeTransport) => this.#streams.add(new TcpStream(this, makeTransport)),
    };
    return acceptConnections({ host, port, ...sharing, firstStage }, accepting, this.#servers);
  }

  async #tlsAcceptor(): Promise<TlsAcceptor> {
    const { certificates, helloDeadlines: deadlines, log, handshakes: figures } = this.#options;
    if (certificates === undefined) throw new Error('a listener with TLS needs certificates');
    const { TlsAcceptor } = await import('../tls/tls-acceptor.ts');
    const acceptor = new TlsAcceptor({
      certificates,
      protocols: [],
      deadlines,
      log,
      figures,
      hasRequests: false,
      onSecure: (socket, session, peer) => {
        const makeTransport = (owner: TransportOwner) =>
          new SocketTransport(socket, owner, false, peer, session);
        this.#streams.add(new TcpStream(this, makeTransport, session));
      },
      onLost: ({ address }) => this.#options.connectionLimits?.leave(plainAddress(address)),
    });
    this.#acceptors.push(acceptor);
    return acceptor;
  }

  /** Whether one more connection may come from there; to be left by `connectionLimits.leave` then. */
  #enter(address: string): boolean {
    this.acceptedConnections++;
    const { connectionLimits, refusals } = this.#options;
    const refused = connectionLimits?.enter(plainAddress(address));
    if (refused !== undefined) refusals.add(refused, address);
    return refused === undefined;
  }

  async #listenUdp({ host, port }: Listener, { reusePort = false }: Sharing): Promise<UdpListener> {
    const { UdpListener } = await import('./udp-listener.ts');
    const { log, refusals, maxUdpSessions } = this.#options;
    const listener = new UdpListener({ host: this, log, refusals, maxSessions: maxUdpSessions });
    this.#udp.push(listener);
    await listener.bind(host, port, reusePort);
    return listener;
  }

  /**
   * Stops accepting and waits for connections to end; what is left after `graceMs` is closed. With
   * `lullMs` another process accepts already: handshakes get that time first, and UDP is left at once,
   * since what the system still brings here would be lost there.
   */
  async drain(graceMs: number, lullMs = 0): Promise<void> {
    for (const server of this.#servers) server.close();
    const udp = Promise.all(this.#udp.map((listener) => listener.drain(lullMs > 0 ? 0 : graceMs)));
    if (lullMs > 0) await sleep(lullMs);
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
    for (const acceptor of this.#acceptors) acceptor.close();
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
