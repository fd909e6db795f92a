// What is known at the end of an Exchange: the source of access log, metrics, spans and analytics.

/**
 * One ended Exchange, as the data plane hands it to the record writer. The data plane passes the
 * same object again and again: whoever takes it copies what it needs before returning.
 *
 * Text that comes from the client is given as ranges of `head` (latin1), so that nothing is turned
 * into a string on the request's path.
 */
export interface ExchangeEnd {
  /** Unix milliseconds when the request's head was complete (or refused). */
  startedAt: number;
  /** Milliseconds from there to the end. */
  durationMs: number;
  /** Milliseconds spent waiting for the Upstream's response head, all attempts; -1 when none was asked. */
  upstreamMs: number;
  /** The status sent to the client; 499 when the client went away before one was sent. */
  status: number;
  /** The Upstream's own status, 0 when there was none. */
  upstreamStatus: number;
  source: 'gateway' | 'upstream';
  /** What a cache did, by nginx's names; empty where none took part. */
  cacheStatus: string;
  /** A short fixed word for why the gateway answered or gave up, empty when all went well. */
  reason: string;
  /** Attempts to reach a Target. */
  attempts: number;
  bytesIn: number;
  bytesOut: number;
  /** The configuration's revision under which it ran. */
  revision: number;
  /** 32 hex digits, or empty for a request refused at parsing. */
  requestId: string;
  clientAddress: string;
  /** The request's head as received; ranges below are offsets into it, -1 when absent. */
  head: Uint8Array;
  methodStart: number;
  methodEnd: number;
  targetStart: number;
  targetEnd: number;
  hostStart: number;
  hostEnd: number;
  userAgentStart: number;
  userAgentEnd: number;
  /** '1.0', '1.1' or '2'; empty for a stream. */
  httpVersion: string;
  /** `tcp`, `tls` (passed on as it is) and `udp` for streams: their `host` is the name that a TLS client asked for, method and target are absent. */
  scheme: 'http' | 'https' | StreamScheme;
  /** Ids and names from the configuration; empty when there is none. */
  routeId: string;
  routeName: string;
  serviceId: string;
  serviceName: string;
  upstreamId: string;
  /** The Route's uri and host as configured that matched, for metrics; undefined when unknown. */
  matchedUri?: string;
  matchedHost?: string;
  /** `host:port` of the last Target tried. */
  target: string;
  consumer: string;
  /** Count it in per-Route metrics, and under names instead of ids. */
  metrics: boolean;
  preferName: boolean;
}

/** What a stream carries. */
export type StreamScheme = 'tcp' | 'tls' | 'udp';

/** Takes ended Exchanges. Must not throw, must not wait. */
export interface ExchangeEndSink {
  /** False when nobody reads what only a log line shows: the request's id need not be made up. */
  readonly wantsDetail: boolean;
  write(end: ExchangeEnd): void;
}
