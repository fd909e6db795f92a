// Traffic of one thread: listeners, connections, Exchanges, and the Runtime they run by.

import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClientConnection } from '../http/client-connection.ts';
import type { FirstStage } from '../http/first-stage.ts';
import { plainAddress } from '../http/plain-address.ts';
import type { Accepted, ClientLimits, ConnectionHost } from '../http/server-exchange.ts';
import { SocketTransport } from '../http/socket-transport.ts';
import type * as ClientSessions from '../http2/client-sessions.ts';
import type { ExchangeEnd, ExchangeEndSink } from '../model/exchange-end.ts';
import type { GeoSource } from '../model/geo-place.ts';
import type { Listener, Sharing } from '../model/listener.ts';
import type { Challenge } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import { reply } from '../plugin/reply.ts';
import type { ServerCertificates } from '../tls/server-certificates.ts';
import type { HandshakeFigures, TlsAcceptor } from '../tls/tls-acceptor.ts';
import { type Accepting, acceptConnections } from './accept-connections.ts';
import type { ConnectionLimits } from './connection-limits.ts';
import { Decider } from './decider.ts';
import { Exchange } from './exchange.ts';
import type { ExchangeHost } from './exchange-host.ts';
import { applyTrust, type TrustedHops, writeForwarded } from './forwarded.ts';
import { PluginFailure } from './pipeline.ts';
import { Refusals } from './refusals.ts';
import type { Runtime } from './runtime.ts';

export interface DataPlaneOptions {
  readonly limits: ClientLimits;
  readonly trusted: TrustedHops | undefined;
  /** undefined when nobody wants to know. */
  readonly sink: ExchangeEndSink | undefined;
  readonly log: Logger;
  /** Largest body that a Binding may hold whole, in bytes. */
  readonly maxCollectedBytes: number;
  /** undefined for any number of connections. */
  readonly connectionLimits?: ConnectionLimits | undefined;
  /** Takes the header of connections on Listeners with PROXY protocol. */
  readonly proxyProtocol?: FirstStage | undefined;
  /** Connections that were turned away. */
  readonly refusals?: Refusals;
  /** For Listeners with TLS. */
  readonly certificates?: ServerCertificates;
}

const CHALLENGE_PATH = '/.well-known/acme-challenge/';
/** Exchanges kept for the next request; more are made when more run at once. */
const MAX_SPARE = 512;

export class DataPlane implements ConnectionHost, ExchangeHost {
  readonly limits: ClientLimits;
  readonly maxCollectedBytes: number;
  readonly runtime: Runtime;
  draining = false;
  closing = false;
  readonly #options: DataPlaneOptions;
  readonly #decider: Decider;
  readonly http2 = false;
  readonly #connections = new Set<Accepted>();
  readonly #servers: net.Server[] = [];
  readonly #spare: Exchange[] = [];
  readonly #end: ExchangeEnd = emptyEnd();
  readonly #ports = new Map<number, string>();
  #onEmpty: (() => void) | undefined;
  readonly refusals: Refusals;
  acceptedConnections = 0;
  readonly handshakes: HandshakeFigures = { completed: 0, resumed: 0, failed: 0 };
  readonly #acceptors: TlsAcceptor[] = [];
  /** Answers by path; null while nobody wants any. */
  #challenges: ReadonlyMap<string, string> | null = null;

  constructor(runtime: Runtime, options: DataPlaneOptions) {
    this.runtime = runtime;
    this.#decider = new Decider(runtime);
    this.limits = options.limits;
    this.maxCollectedBytes = options.maxCollectedBytes;
    this.refusals = options.refusals ?? new Refusals(options.log);
    this.#options = options;
  }

  get geo(): GeoSource | undefined {
    return this.runtime.geo;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Accepts traffic on an address; resolves when it does. */
  async listen(listener: Listener, sharing: Sharing = {}): Promise<net.Server> {
    const { host, port, tls, proxyProtocol, http2 } = listener;
    const firstStage = proxyProtocol ? this.#options.proxyProtocol : undefined;
    const sessions = http2 ? await import('../http2/client-sessions.ts') : undefined;
    const acceptor = tls ? await this.#tlsAcceptor(sessions) : undefined;
    const accepting: Accepting = {
      log: this.#options.log,
      acceptor,
      enter: (address) => this.#enter(address),
      take: (makeTransport) => {
        const connection =
          sessions === undefined
            ? new ClientConnection(this, makeTransport)
            : new sessions.FirstBytes(this, makeTransport);
        this.#connections.add(connection);
      },
    };
    return acceptConnections({ host, port, ...sharing, firstStage }, accepting, this.#servers);
  }

  /**
   * Stops accepting, lets Exchanges under way end and closes each connection after its own; what
   * is left after `graceMs` is closed. With `lullMs`, connections that bring a request within that
   * time are answered, and closed then, before those that don't are closed: where another process
   * goes on accepting, no client need notice.
   */
  async drain(graceMs: number, lullMs = 0): Promise<void> {
    this.draining = true;
    for (const server of this.#servers) server.close();
    if (lullMs > 0) await sleep(lullMs);
    this.closing = true;
    for (const connection of [...this.#connections]) connection.drain();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const acceptor of this.#acceptors) acceptor.close();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** With `sessions`, HTTP/2 is offered before HTTP/1.1. */
  async #tlsAcceptor(sessions: typeof ClientSessions | undefined): Promise<TlsAcceptor> {
    const { certificates, limits, log } = this.#options;
    if (certificates === undefined) throw new Error('a listener with TLS needs certificates');
    // Only those who terminate TLS pay for loading it.
    const { TlsAcceptor } = await import('../tls/tls-acceptor.ts');
    const acceptor = new TlsAcceptor({
      certificates,
      protocols: sessions === undefined ? ['http/1.1'] : ['h2', 'http/1.1'],
      deadlines: limits.head,
      log,
      figures: this.handshakes,
      hasRequests: true,
      onSecure: (socket, session, peer) => {
        this.#connections.add(
          sessions !== undefined && socket.alpnProtocol === 'h2'
            ? sessions.serve(this, socket, {
                remoteAddress: peer.address,
                remotePort: peer.port,
                localAddress: socket.localAddress ?? '',
                localPort: socket.localPort ?? 0,
                tls: session,
              })
            : new ClientConnection(this, (owner) => new SocketTransport(socket, owner, false, peer, session)),
        );
      },
      onLost: ({ address }) => this.#options.connectionLimits?.leave(plainAddress(address)),
    });
    this.#acceptors.push(acceptor);
    return acceptor;
  }

  /** Whether one more connection may come from there; to be left by `connectionLimits.leave` then. */
  #enter(address: string): boolean {
    this.acceptedConnections++;
    const refused = this.#options.connectionLimits?.enter(plainAddress(address));
    if (refused !== undefined) this.refusals.add(refused, address);
    return refused === undefined;
  }

  // For connections.

  acquire(connection: ClientConnection): Exchange {
    const exchange = this.#spare.pop() ?? new Exchange(this);
    exchange.begin(connection);
    return exchange;
  }

  onConnectionClosed(connection: Accepted): void {
    if (!this.#connections.delete(connection)) return;
    this.#options.connectionLimits?.leave(plainAddress(connection.remoteAddress));
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  onBecame(former: Accepted, connection: Accepted): void {
    this.#connections.delete(former);
    this.#connections.add(connection);
  }

  // For Exchanges.

  admit(exchange: Exchange): void {
    const { request, connection } = exchange;
    if (connection === null) return; // gone before its head was complete
    const { transport } = connection;
    request.peerAddress = request.clientAddress = plainAddress(transport.remoteAddress);
    request.clientPort = transport.remotePort;
    exchange.tls = transport.tls;
    request.scheme = transport.tls === null ? 'http' : 'https';
    request.http2 = connection.host.http2;
    exchange.localPort = transport.localPort;
    request.peerTrusted = false;
    if (this.#options.trusted !== undefined) applyTrust(exchange, this.#options.trusted);
  }

  /** Takes what a certificate authority asks for at a well-known place (RFC 8555 8.3). */
  useChallenges(challenges: readonly Challenge[]): void {
    const http = challenges.filter((challenge) => challenge.type === 'http-01');
    this.#challenges =
      http.length === 0 ? null : new Map(http.map(({ token, answer }) => [CHALLENGE_PATH + token, answer]));
  }

  decide(exchange: Exchange): void {
    const answer = this.#challenges?.get(exchange.request.path);
    if (answer !== undefined) return exchange.reply(reply(200, answer, { reason: 'acme_challenge' }));
    this.#decider.decide(exchange);
  }

  writeForwarded(exchange: Exchange): void {
    writeForwarded(exchange);
  }

  portText(port: number): string {
    let text = this.#ports.get(port);
    if (text === undefined) this.#ports.set(port, (text = String(port)));
    return text;
  }

  onFailure(exchange: Exchange, error: unknown): void {
    const failure = error instanceof PluginFailure ? error : undefined;
    const cause = failure?.cause ?? error;
    this.#options.log.error(failure?.message ?? `exchange failed: ${String(error)}`, {
      request_id: exchange.id,
      route_id: exchange.routeId,
      plugin: failure?.plugin,
      place: failure?.place,
      stack: cause instanceof Error ? cause.stack : undefined,
    });
  }

  record(exchange: Exchange): void {
    const { sink } = this.#options;
    if (sink === undefined) return;
    const { requestHead: head, request, route, second } = exchange;
    const end = this.#end;
    end.startedAt = exchange.startedAt;
    end.durationMs = exchange.durationMs;
    end.upstreamMs = exchange.upstreamMs;
    end.status = exchange.response.status;
    end.upstreamStatus = exchange.upstreamStatus;
    end.source = exchange.response.source;
    end.cacheStatus = exchange.cacheStatus;
    end.reason = exchange.reason;
    end.attempts = exchange.attempts;
    end.bytesIn = exchange.bytesIn;
    end.bytesOut = exchange.bytesOut;
    end.revision = exchange.revision;
    end.requestId = sink.wantsDetail ? exchange.id : '';
    end.clientAddress = request.clientAddress;
    end.head = head.bytes;
    const parsed = head.length > 0;
    end.methodStart = parsed ? head.methodStart : -1;
    end.methodEnd = parsed ? head.methodEnd : -1;
    end.targetStart = parsed ? head.targetStart : -1;
    end.targetEnd = parsed ? head.targetEnd : -1;
    end.hostStart = parsed ? head.hostStart : -1;
    end.hostEnd = parsed ? head.authorityEnd : -1;
    const agent = head.userAgent;
    end.userAgentStart = parsed && agent >= 0 ? head.valueStart[agent] : -1;
    end.userAgentEnd = parsed && agent >= 0 ? head.valueEnd[agent] : -1;
    end.httpVersion = request.httpVersion;
    end.scheme = request.scheme;
    end.routeId = route?.id ?? '';
    end.routeName = route?.name ?? '';
    end.serviceId = route?.serviceId ?? '';
    end.serviceName = route?.serviceName ?? '';
    end.upstreamId =
      (exchange.chosenUpstream ?? (exchange.attempts > 0 ? route?.upstream : undefined))?.id ?? '';
    end.target = exchange.targetKey;
    end.consumer = exchange.consumer?.username ?? '';
    end.metrics = second?.metrics ?? false;
    end.preferName = second?.preferName ?? false;
    // Only metrics ask for it, and with several uris it has to be found.
    end.matchedUri = end.metrics ? route?.matchedUri(request.path) : undefined;
    end.matchedHost = end.metrics && route?.hosts.length === 1 ? route.hosts[0] : undefined;
    sink.write(end);
  }

  release(exchange: Exchange): void {
    this.#decider.release(exchange);
    exchange.forget();
    exchange.requestHead.shrink();
    exchange.responseHead.shrink();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(exchange);
  }
}

function emptyEnd(): ExchangeEnd {
  return {
    startedAt: 0,
    durationMs: 0,
    upstreamMs: -1,
    status: 0,
    upstreamStatus: 0,
    source: 'gateway',
    cacheStatus: '',
    reason: '',
    attempts: 0,
    bytesIn: 0,
    bytesOut: 0,
    revision: 0,
    requestId: '',
    clientAddress: '',
    head: new Uint8Array(0),
    methodStart: -1,
    methodEnd: -1,
    targetStart: -1,
    targetEnd: -1,
    hostStart: -1,
    hostEnd: -1,
    userAgentStart: -1,
    userAgentEnd: -1,
    httpVersion: '1.1',
    scheme: 'http',
    routeId: '',
    routeName: '',
    serviceId: '',
    serviceName: '',
    upstreamId: '',
    target: '',
    consumer: '',
    metrics: false,
    preferName: false,
    matchedUri: undefined,
    matchedHost: undefined,
  };
}
