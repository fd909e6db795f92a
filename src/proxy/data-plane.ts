// Traffic of one thread: listeners, connections, Exchanges, and the Runtime they run by.

import type net from 'node:net';
import { ClientConnection, type ClientLimits, type ConnectionHost } from '../http/client-connection.ts';
import { type ListenOptions, listen } from '../http/socket-transport.ts';
import { normalizePath } from '../lib/normalize-path.ts';
import type { ExchangeEnd, ExchangeEndSink } from '../model/exchange-end.ts';
import type { Logger } from '../plugin/kit.ts';
import { type Reply, reply } from '../plugin/reply.ts';
import { UNAUTHENTICATED } from './compile-pipeline.ts';
import { Exchange, Stage } from './exchange.ts';
import type { ExchangeHost } from './exchange-host.ts';
import { applyTrust, type TrustedHops, writeForwarded } from './forwarded.ts';
import { type Pipeline, PluginFailure, runSteps } from './pipeline.ts';
import type { Runtime } from './runtime.ts';

export interface DataPlaneOptions {
  readonly limits: ClientLimits;
  readonly trusted: TrustedHops | undefined;
  readonly sink: ExchangeEndSink;
  readonly log: Logger;
  /** Largest body that a Binding may hold whole, in bytes. */
  readonly maxCollectedBytes: number;
}

const NOT_FOUND = reply(404, { error_msg: '404 Route Not Found' }, { reason: 'no_route' });
const NO_UPSTREAM = reply(
  503,
  { error_msg: 'missing upstream configuration in Route or Service' },
  { reason: 'no_upstream' },
);
const BAD_PATH: Reply = { status: 400, headers: [], body: undefined, reason: 'bad_target' };
/** Exchanges kept for the next request; more are made when more run at once. */
const MAX_SPARE = 512;

export class DataPlane implements ConnectionHost, ExchangeHost {
  readonly limits: ClientLimits;
  readonly maxCollectedBytes: number;
  runtime: Runtime;
  draining = false;
  readonly #options: DataPlaneOptions;
  readonly #connections = new Set<ClientConnection>();
  readonly #servers: net.Server[] = [];
  readonly #spare: Exchange[] = [];
  readonly #end: ExchangeEnd = emptyEnd();
  readonly #ports = new Map<number, string>();
  #onEmpty: (() => void) | undefined;
  acceptedConnections = 0;

  constructor(runtime: Runtime, options: DataPlaneOptions) {
    this.runtime = runtime;
    this.limits = options.limits;
    this.maxCollectedBytes = options.maxCollectedBytes;
    this.#options = options;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Accepts traffic on an address; resolves when it does. */
  listen(options: ListenOptions): Promise<net.Server> {
    return new Promise((resolve, reject) => {
      const server = listen(options, (makeTransport) => {
        this.acceptedConnections++;
        this.#connections.add(new ClientConnection(this, makeTransport));
      });
      this.#servers.push(server);
      server.once('error', reject);
      server.once('listening', () => {
        server.off('error', reject);
        server.on('error', (error) => this.#options.log.error('listener failed', { error: error.message }));
        resolve(server);
      });
    });
  }

  /**
   * Stops accepting, lets Exchanges under way end and closes each connection after its own; what
   * is left after `graceMs` is closed.
   */
  async drain(graceMs: number): Promise<void> {
    this.draining = true;
    for (const server of this.#servers) server.close();
    for (const connection of [...this.#connections]) if (connection.idle) connection.close();
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const connection of [...this.#connections]) connection.transport.destroy();
  }

  // For connections.

  acquire(connection: ClientConnection): Exchange {
    const exchange = this.#spare.pop() ?? new Exchange(this);
    exchange.begin(connection);
    return exchange;
  }

  onConnectionClosed(connection: ClientConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  // For Exchanges.

  admit(exchange: Exchange): void {
    const { request } = exchange;
    const { transport } = exchange.connection!;
    request.peerAddress = request.clientAddress = plainAddress(transport.remoteAddress);
    request.clientPort = transport.remotePort;
    request.scheme = 'http';
    exchange.localPort = transport.localPort;
    request.peerTrusted = false;
    if (this.#options.trusted !== undefined) applyTrust(exchange, this.#options.trusted);
  }

  decide(exchange: Exchange): void {
    exchange.stage = Stage.Deciding;
    exchange.revision = this.runtime.revision;
    const { requestHead: head, request } = exchange;
    if (head.pathNeedsCare) {
      const path = normalizePath(request.path);
      if (path === undefined) return exchange.reply(BAD_PATH);
      request.path = path;
    }
    const { router } = this.runtime;
    const route = router.match(router.hasHosts ? request.host : '', request.path, exchange);
    let pipeline: Pipeline;
    if (route === undefined) pipeline = this.runtime.notFound;
    else {
      exchange.route = route;
      route.active++;
      pipeline = route.pipeline;
    }
    exchange.second = pipeline.second;
    if (pipeline.first !== null) {
      const outcome = runSteps(pipeline.first, exchange);
      if (outcome instanceof Promise) {
        exchange.forwarding.keepFirst();
        void exchange.wait(outcome.then((reply) => this.#identified(exchange, pipeline, reply)));
        return;
      }
      this.#identified(exchange, pipeline, outcome);
    } else this.#identified(exchange, pipeline, undefined);
    exchange.forwarding.keepFirst();
  }

  /** The first half is over: the caller is known, or nobody. */
  #identified(exchange: Exchange, pipeline: Pipeline, denial: Reply | undefined): void {
    if (exchange.stage !== Stage.Deciding) return;
    if (exchange.consumer !== undefined) exchange.second = pipeline.secondFor(exchange.consumer);
    if (denial !== undefined) return exchange.reply(denial);
    if (exchange.route === null) return exchange.reply(NOT_FOUND);
    if (exchange.consumer === undefined && pipeline.authenticates?.(exchange))
      return exchange.reply(UNAUTHENTICATED);
    const second = exchange.second!;
    if (second.needsRequestBody) exchange.forwarding.collect(() => this.#access(exchange));
    else this.#access(exchange);
  }

  #access(exchange: Exchange): void {
    const { steps } = exchange.second!;
    if (steps === null) return this.#forward(exchange);
    const outcome = runSteps(steps, exchange);
    if (outcome instanceof Promise) {
      exchange.forwarding.keepFirst();
      void exchange.wait(
        outcome.then((reply) => {
          if (exchange.stage !== Stage.Deciding) return;
          if (reply !== undefined) exchange.reply(reply);
          else this.#forward(exchange);
        }),
      );
      return;
    }
    if (outcome !== undefined) exchange.reply(outcome);
    else this.#forward(exchange);
  }

  #forward(exchange: Exchange): void {
    const upstream = exchange.chosenUpstream ?? exchange.route!.upstream;
    if (upstream === undefined) return exchange.reply(NO_UPSTREAM);
    const { beforeProxy } = exchange.second!;
    if (beforeProxy !== null) {
      for (const step of beforeProxy) {
        try {
          step.run(exchange);
        } catch (error) {
          throw new PluginFailure(step, error);
        }
      }
    }
    exchange.forwarding.forward(upstream);
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
    const { requestHead: head, request, route, second } = exchange;
    const end = this.#end;
    end.startedAt = exchange.startedAt;
    end.durationMs = exchange.durationMs;
    end.upstreamMs = exchange.upstreamMs;
    end.status = exchange.response.status;
    end.upstreamStatus = exchange.upstreamStatus;
    end.source = exchange.response.source;
    end.reason = exchange.reason;
    end.attempts = exchange.attempts;
    end.bytesIn = exchange.bytesIn;
    end.bytesOut = exchange.bytesOut;
    end.revision = exchange.revision;
    end.requestId = exchange.id;
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
    end.httpVersion = head.minorVersion === 0 ? '1.0' : '1.1';
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
    this.#options.sink.write(end);
  }

  release(exchange: Exchange): void {
    const { route } = exchange;
    if (route !== null) {
      route.active--;
      if (route.retired) route.released();
    }
    exchange.route = exchange.second = null;
    exchange.requestHead.shrink();
    exchange.responseHead.shrink();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(exchange);
  }
}

/** IPv4 addresses as such, also on a socket that speaks both. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

function emptyEnd(): ExchangeEnd {
  return {
    startedAt: 0,
    durationMs: 0,
    upstreamMs: -1,
    status: 0,
    upstreamStatus: 0,
    source: 'gateway',
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
  };
}
