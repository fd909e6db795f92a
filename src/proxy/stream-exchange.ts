import type { MaybePromise, Outcome } from '../plugin/define-plugin.ts';
import type { ConnectionView, Slot } from '../plugin/exchange.ts';
import { now, wallClock } from './clock.ts';
import { newRequestId } from './request-id.ts';
import type { StreamPipeline } from './stream-pipeline.ts';
import type { StreamEnds } from './stream-router.ts';
import type { StreamRoute, StreamRoutes } from './stream-routes.ts';
import type { Target, Upstream } from './upstream.ts';

/** What a stream carries: `tls` is TCP on which a client began with a ClientHello. */
export type StreamProtocol = 'tcp' | 'tls' | 'udp';

/** What StreamExchanges need of their thread. */
export interface StreamHost {
  readonly routes: StreamRoutes;
  /** Takes the ended StreamExchange into the log. */
  record(exchange: StreamExchange): void;
  onFailure(exchange: StreamExchange, error: unknown): void;
}

/** One TCP connection or UDP session, from its first byte to its last: which way it takes, and what became of it. */
export class StreamExchange implements ConnectionView {
  readonly host: StreamHost;
  readonly request: ConnectionView['request'];
  readonly ends: StreamEnds;
  protocol: StreamProtocol;
  /** The name that a TLS client asks for. */
  serverName: string | undefined;
  readonly started: number = now();
  readonly startedAt: number = wallClock(this.started);
  readonly revision: number;
  route: StreamRoute | undefined;
  upstream: Upstream | undefined;
  /** The one asked last. */
  target: Target | undefined;
  attempts = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** From the first attempt to the connection, or to giving up; -1 when no Target was asked. */
  connectMs = -1;
  /** As of HTTP: 200 once it was served, whatever ended it then. */
  status = 0;
  reason = '';
  durationMs = 0;
  ended = false;
  readonly #tried: Target[] = [];
  #id: string | undefined;
  #slots: Map<Slot<unknown>, unknown> | undefined;
  #connectStarted = 0;
  #attemptStarted = 0;
  #underWay = false;
  #latencyMs = 0;
  #pipeline: StreamPipeline | undefined;

  constructor(host: StreamHost, protocol: StreamProtocol, clientPort: number, ends: StreamEnds) {
    const { clientAddress } = ends;
    this.host = host;
    this.protocol = protocol;
    this.request = { clientAddress, clientPort, peerAddress: clientAddress };
    this.ends = ends;
    this.revision = host.routes.runtime.revision;
  }

  get id(): string {
    return (this.#id ??= newRequestId());
  }

  /** It counts in the metrics of its route. */
  get metrics(): boolean {
    return this.#pipeline?.metrics ?? false;
  }

  get preferName(): boolean {
    return this.#pipeline?.preferName ?? false;
  }

  get routeId(): string {
    return this.route?.id ?? '';
  }

  get<T>(slot: Slot<T>): T | undefined {
    return this.#slots?.get(slot) as T | undefined;
  }

  set<T>(slot: Slot<T>, value: T): void {
    (this.#slots ??= new Map()).set(slot, value);
  }

  variable(name: string): string | undefined {
    if (Object.hasOwn(VARIABLES, name)) return VARIABLES[name](this);
    if (!name.startsWith('geoip2_')) return undefined;
    return this.host.routes.runtime.geo?.lookup(this.request.clientAddress)?.[name.slice(7)];
  }

  /** Finds the route and asks its Bindings; says whether there is an Upstream to connect to. Otherwise `status` and `reason` say why not. */
  admit(then: (admitted: boolean) => void): void {
    let outcome: MaybePromise<Outcome>;
    try {
      const route = this.host.routes.router.match(this.ends, this.serverName);
      if (route === undefined) return then(this.refuse(404, 'no_stream_route'));
      this.route = route;
      this.#pipeline = route.pipeline;
      route.enter();
      outcome = this.#pipeline.connect(this);
    } catch (error) {
      return then(this.#fail(error));
    }
    if (!(outcome instanceof Promise)) return then(this.#decide(outcome));
    outcome.then(
      (settled) => then(!this.ended && this.#decide(settled)),
      (error) => then(this.#fail(error)),
    );
  }

  #decide(outcome: Outcome): boolean {
    if (outcome) return this.refuse(outcome.status, outcome.reason ?? 'refused');
    try {
      this.upstream = this.route!.upstream;
    } catch (error) {
      return this.#fail(error);
    }
    return this.upstream === undefined ? this.refuse(503, 'no_upstream') : true;
  }

  #fail(error: unknown): false {
    this.host.onFailure(this, error);
    return this.refuse(500, 'internal_error');
  }

  refuse(status: number, reason: string): false {
    this.status = status;
    this.reason = reason;
    return false;
  }

  /** The Target to try next; undefined when there is none left, or no time. */
  next(): Target | undefined {
    const upstream = this.upstream!;
    const at = now();
    if (this.attempts === 0) this.#connectStarted = at;
    else if (
      this.attempts > upstream.retriesFor() ||
      (upstream.retryTimeout > 0 && at - this.#connectStarted >= upstream.retryTimeout)
    ) {
      return undefined;
    }
    const target = upstream.pick(this, this.#tried);
    if (target === undefined) {
      if (this.attempts === 0) this.refuse(503, 'no_target');
      return undefined;
    }
    this.target = target;
    this.attempts++;
    this.#attemptStarted = at;
    this.#underWay = true;
    target.started();
    return target;
  }

  /** The Target could not be reached. */
  attemptFailed(status: number, reason: string): void {
    const at = now();
    if (this.status !== 200) this.connectMs = at - this.#connectStarted;
    this.refuse(status, reason);
    this.#tried.push(this.target!);
    this.target!.failedBy(status === 504 ? 'connect_timeout' : 'connect_failed');
    this.#settle(at - this.#attemptStarted, true);
  }

  connected(): void {
    this.connectMs = now() - this.#connectStarted;
    this.#latencyMs = now() - this.#attemptStarted;
    // For passive checks, a connection is as good as an answer.
    this.target!.answered(200);
    this.status = 200;
    this.reason = '';
  }

  /** It is over. Only the first call counts. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.durationMs = now() - this.started;
    this.#settle(this.#latencyMs, false);
    if (this.#pipeline !== undefined) {
      try {
        this.#pipeline.disconnect(this);
      } catch (error) {
        this.host.onFailure(this, error);
      }
    }
    this.host.record(this);
    if (this.#pipeline !== undefined) this.route!.leave();
  }

  #settle(latencyMs: number, failed: boolean): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    this.target!.finished(latencyMs, failed);
  }
}

/** Names and meanings as in nginx and APISIX. */
const VARIABLES: Readonly<Record<string, (exchange: StreamExchange) => string | undefined>> = {
  remote_addr: ({ request }) => request.clientAddress,
  remote_port: ({ request }) => String(request.clientPort),
  realip_remote_addr: ({ request }) => request.peerAddress,
  server_addr: ({ ends }) => ends.serverAddress,
  server_port: ({ ends }) => String(ends.serverPort),
  protocol: ({ protocol }) => (protocol === 'udp' ? 'UDP' : 'TCP'),
  ssl_server_name: ({ serverName }) => serverName,
  ssl_preread_server_name: ({ serverName }) => serverName,
  request_id: ({ id }) => id,
  route_id: ({ routeId }) => routeId || undefined,
  route_name: ({ route }) => route?.name || undefined,
  service_id: ({ route }) => route?.service?.id,
  upstream_addr: ({ target }) => target?.key,
  status: ({ status }) => (status === 0 ? undefined : String(status)),
  bytes_received: ({ bytesIn }) => String(bytesIn),
  bytes_sent: ({ bytesOut }) => String(bytesOut),
  time_iso8601: ({ startedAt }) => new Date(startedAt).toISOString(),
  msec: ({ startedAt }) => (startedAt / 1000).toFixed(3),
};
