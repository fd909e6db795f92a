// What a Plugin sees of one request and its response. Which view a handler gets depends on its
// phase, so that reading `consumer` before it can be known, or `response` before there is one,
// does not compile. All views of one Exchange are the same object.

import type { BodyFilter } from './body-filter.ts';
import type { Consumer, CredentialMatch } from './consumer.ts';
import type { WholeReply } from './reply.ts';

/** The request as the client sent it, with the edits made so far. Valid until the Exchange ends. */
export interface RequestView {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The host asked for: lower case, without port. Empty for an HTTP/1.0 request without one. */
  readonly host: string;
  /** The host as it was sent, with a port where there is one. Empty where `host` is. */
  readonly authority: string;
  /** The path, normalised once (RFC 3986 6.2.2): dot segments and doubled slashes resolved, unreserved characters decoded, the rest left as sent. */
  readonly path: string;
  /** The query as sent, without `?`; empty when there is none. */
  readonly query: string;
  /** The request target as sent. */
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1' | '2';
  /** The client's address: the peer's, unless a trusted hop or real-ip said otherwise. */
  readonly clientAddress: string;
  readonly clientPort: number;
  /** The address at the other end of the connection. */
  readonly peerAddress: string;
  /** The first value of a header field, or undefined. `name` in lower case. */
  header(name: string): string | undefined;
  /** All values of a header field, in order. `name` in lower case. */
  headerValues(name: string): readonly string[];
  /** Name and value of every header field, in order, names as sent. */
  headers(): readonly (readonly [name: string, value: string])[];
  /** Replaces all fields of that name. Later Plugins and the Upstream see the new value. */
  setHeader(name: string, value: string): void;
  addHeader(name: string, value: string): void;
  removeHeader(name: string): void;
  /** The first value of a query parameter, percent-decoded; a parameter without `=` is the empty string. */
  queryParameter(name: string): string | undefined;
  cookie(name: string): string | undefined;
  /** The whole body. Only for Bindings that declared `needsBody: 'request'`. */
  readonly body: Uint8Array;
}

/** What will be sent to the Upstream; starts as the request itself. */
export interface UpstreamRequestView {
  method: string;
  /** Path without query; must begin with `/`. */
  path: string;
  /** Query without `?`. */
  query: string;
  /** The Host field; undefined means what the Upstream's `pass_host` says. */
  host: string | undefined;
  scheme: 'http' | 'https' | undefined;
  /** What is sent in place of the body. Only for Bindings that declared `needsBody: 'request'`, and only where there is one. */
  body: Uint8Array;
}

export interface ResponseView {
  status: number;
  /** Who made the answer. */
  readonly source: 'gateway' | 'upstream';
  header(name: string): string | undefined;
  headerValues(name: string): readonly string[];
  setHeader(name: string, value: string): void;
  addHeader(name: string, value: string): void;
  removeHeader(name: string): void;
}

/** Filled by whoever defines it with `slot()`: what one phase of a Plugin leaves for another. */
export interface Slot<T> {
  readonly name: string;
  readonly '~type'?: T;
}

/** Defines a place on the Exchange for a value of one type. Call once per Plugin, at module level. */
export function slot<T>(name: string): Slot<T> {
  return { name };
}

/** By nginx's names: served fresh, fetched, fetched since it was too old, served old, confirmed by the Upstream, served old while it is fetched, passed by. */
export type CacheStatus = 'hit' | 'miss' | 'expired' | 'stale' | 'revalidated' | 'updating' | 'bypass';

interface Base {
  /** Gateway-made id of this request, 32 hex digits; stable for the Exchange. */
  readonly id: string;
  readonly request: RequestView;
  readonly routeId: string;
  readonly routeName: string;
  readonly serviceId: string | undefined;
  /** Unix milliseconds at which the request's head was complete. */
  readonly startedAt: number;
  /** How a cache took part, for log, metrics and `$upstream_cache_status`; empty where none did. */
  cacheStatus: CacheStatus | '';
  get<T>(slot: Slot<T>): T | undefined;
  set<T>(slot: Slot<T>, value: T): void;
  /** Reads a variable by its nginx/APISIX name (`remote_addr`, `http_x_a`, `arg_q`, …); undefined when it has no value. Compile with `kit.variable` where the name is known. */
  variable(name: string): string | undefined;
  /** Defines or replaces a variable for later Plugins. */
  setVariable(name: string, value: string | undefined): void;
}

/** Authentication happens here; who the caller is may not be known yet. */
export interface RewriteExchange extends Base {
  readonly upstream: UpstreamRequestView;
  /** Says who the caller is. Identity headers for the Upstream follow from it. */
  authenticate(match: CredentialMatch): void;
  /**
   * Lets a body of at most so many bytes through; the smallest limit that anybody sets holds. False
   * when the request is larger already, for the Plugin to reply; a body that grows beyond it on its
   * way is refused with 413 by the engine.
   */
  limitBody(bytes: number): boolean;
  /** Replaces the client's address and port for everything that follows (real-ip). */
  setClientAddress(address: string, port?: number): void;
}

/** The caller is known, or known to be anonymous. */
export interface AccessExchange extends Base {
  readonly upstream: UpstreamRequestView;
  readonly consumer: Consumer | undefined;
  /** It has ended while a handler waited: its client has left, and no other phase will hear of it. */
  readonly ended: boolean;
  /** Where this Exchange will go: the Upstream that a Plugin chose, else the Route's. */
  readonly destination: UpstreamHandle | undefined;
  /**
   * A copy of the request's body, made as it passes and there when it has passed: nothing waits for
   * it. Undefined for a body of more than `maximum` bytes, and for one that was never complete.
   */
  copyBody(maximum: number): Promise<Uint8Array | undefined>;
  /** Sends this Exchange to another Upstream than the Route's; from `kit.upstream`. */
  useUpstream(upstream: UpstreamHandle): void;
}

export type BeforeProxyExchange = AccessExchange;

/** A response head is there: the Upstream's or a Reply's. */
export interface ResponseExchange extends Base {
  readonly consumer: Consumer | undefined;
  /** The Upstream was to be asked; with a response of the gateway's own, it gave no answer. */
  readonly upstreamAsked: boolean;
  readonly response: ResponseView & {
    /** Bytes of the body as it is now; undefined where the Upstream didn't say, or nobody knows. */
    readonly bodyLength: number | undefined;
    /** Name and value of every field as the Upstream sent it, whatever Plugins have changed. */
    originalHeaders(): readonly (readonly [name: string, value: string])[];
    /** Sends a Reply in the place of what came. What Plugins have changed before holds for it, too. */
    replaceWith(reply: WholeReply): void;
    /** Sends these bytes instead of the body; the framing follows. */
    replaceBody(body: string | Uint8Array): void;
    /**
     * Lets the body pass through a filter, after those added before. The framing follows. A response without a body (HEAD, 204, 304) only aborts the filter.
     */
    filterBody(filter: BodyFilter): void;
  };
}

/** The whole response body is there. Only for Bindings that declared `needsBody: 'response'`. */
export interface ResponseBodyExchange extends Base {
  readonly consumer: Consumer | undefined;
  readonly response: ResponseView & { body: Uint8Array };
}

/** The Exchange has ended, whatever the end. */
export interface LogExchange extends Base {
  readonly consumer: Consumer | undefined;
  readonly response: Pick<ResponseView, 'status' | 'source' | 'header' | 'headerValues'>;
  /** Milliseconds from complete request head to the end. */
  readonly durationMs: number;
}

/** A connection of TCP or a session of UDP on a stream route: what Plugins that don't speak HTTP may see. */
export interface ConnectionView {
  /** Gateway-made id, 32 hex digits. */
  readonly id: string;
  readonly request: Pick<RequestView, 'clientAddress' | 'clientPort' | 'peerAddress'>;
  readonly routeId: string;
  readonly startedAt: number;
  get<T>(slot: Slot<T>): T | undefined;
  set<T>(slot: Slot<T>, value: T): void;
  /** Reads a variable by its nginx/APISIX name (`remote_addr`, `server_port`, `ssl_server_name`, …). */
  variable(name: string): string | undefined;
}

/** An Upstream that a Plugin may choose; opaque. */
export interface UpstreamHandle {
  readonly key: string;
}
