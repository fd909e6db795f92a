// One line of JSON per Exchange, and per stream at its end.

import { CACHE_STATUSES, type ExchangeRecord, type Latin1Buffer } from '../model/exchange-record.ts';
import { jsonText, putBytes, putEscaped, putInteger, putMilliseconds, putThreeDigits } from './json-bytes.ts';
import type { LineSink } from './line-sink.ts';
import { DEFAULT_REDACTED_PARAMETERS, UriRedaction } from './uri-redaction.ts';
import type { RouteWords, Word } from './words.ts';

/** Keys, punctuation and numbers of a line, generously. */
const FIXED_BYTES = 1024;
/** An escaped byte of what a client sent takes six. */
const ESCAPED = 6;

const PIECE = {
  requestId: Buffer.from('Z","request_id":"'),
  client: Buffer.from('","client":"'),
  method: Buffer.from('","method":"'),
  uri: Buffer.from('","uri":"'),
  host: Buffer.from('","host":"'),
  upstreamSource: Buffer.from(',"source":"upstream","reason":"'),
  gatewaySource: Buffer.from(',"source":"gateway","reason":"'),
  upstreamStatus: Buffer.from('","upstream_status":'),
  cache: CACHE_STATUSES.map((status) => Buffer.from(`","cache":"${status}","upstream_status":`)),
  upstreamTarget: Buffer.from(',"upstream_target":"'),
  attempts: Buffer.from('","attempts":'),
  bytesIn: Buffer.from('","bytes_in":'),
  bytesOut: Buffer.from(',"bytes_out":'),
  duration: Buffer.from(',"duration_ms":'),
  upstreamMs: Buffer.from(',"upstream_ms":'),
  userAgent: Buffer.from(',"user_agent":"'),
  revision: Buffer.from('","revision":'),
  null: Buffer.from('null'),
  end: Buffer.from('}\n'),
};

/** From the end of the host to the status, by version and scheme. */
const PROTOCOLS = new Map(
  ['1.0', '1.1', '2', ''].map((version) => [
    version,
    {
      http: Buffer.from(`","http_version":"${jsonText(version)}","scheme":"http","status":`),
      https: Buffer.from(`","http_version":"${jsonText(version)}","scheme":"https","status":`),
    },
  ]),
);

/** The same for streams. */
const STREAM_PROTOCOLS = {
  tcp: Buffer.from('","http_version":"","scheme":"tcp","status":'),
  tls: Buffer.from('","http_version":"","scheme":"tls","status":'),
  udp: Buffer.from('","http_version":"","scheme":"udp","status":'),
};

export class AccessLog {
  readonly #sink: LineSink;
  #redaction = new UriRedaction(DEFAULT_REDACTED_PARAMETERS);
  /** `{"time":"2026-11-21T13:33:03.` of the second that lines are in. */
  #timePrefix = Buffer.alloc(0);
  #second = Number.NaN;
  #now = 0;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  /** Replaces the names of query parameters whose values stay out of the log. */
  redact(names: readonly string[]): void {
    this.#redaction = new UriRedaction(names);
  }

  /** Tells the time in milliseconds, by which lines wait for others to be written with. */
  tick(now: number): void {
    this.#now = now;
    this.#sink.tick(now);
  }

  write(record: ExchangeRecord<RouteWords, Word>): void {
    const { bytes: source, labels, consumer, target, reason } = record;
    const room =
      FIXED_BYTES +
      (record.userAgentEnd - record.requestIdStart) * ESCAPED +
      labels.json.length +
      consumer.json.length +
      target.json.length +
      reason.json.length;
    const sink = this.#sink;
    if (!sink.reserve(room)) return;
    const out = sink.bytes;
    let at = this.#putTime(out, sink.position, record.startedAt);
    at = putBytes(out, at, PIECE.requestId);
    at = putEscaped(out, at, source, record.requestIdStart, record.clientAddressStart);
    at = putBytes(out, at, PIECE.client);
    at = putEscaped(out, at, source, record.clientAddressStart, record.methodStart);
    at = putBytes(out, at, PIECE.method);
    at = putEscaped(out, at, source, record.methodStart, record.targetStart);
    at = putBytes(out, at, PIECE.uri);
    at = this.#redaction.put(out, at, source, record.targetStart, record.hostStart);
    at = putBytes(out, at, PIECE.host);
    at = putEscaped(out, at, source, record.hostStart, record.userAgentStart);
    if (record.stream !== '') at = putBytes(out, at, STREAM_PROTOCOLS[record.stream]);
    else {
      const protocol = PROTOCOLS.get(record.httpVersion)!;
      at = putBytes(out, at, record.https ? protocol.https : protocol.http);
    }
    at = putInteger(out, at, record.status);
    at = putBytes(out, at, record.upstreamSource ? PIECE.upstreamSource : PIECE.gatewaySource);
    at = putBytes(out, at, reason.json);
    at = putBytes(out, at, record.cacheStatus > 0 ? PIECE.cache[record.cacheStatus] : PIECE.upstreamStatus);
    if (record.upstreamStatus > 0) at = putInteger(out, at, record.upstreamStatus);
    else at = putBytes(out, at, PIECE.null);
    at = putBytes(out, at, PIECE.upstreamTarget);
    at = putBytes(out, at, target.json);
    at = putBytes(out, at, PIECE.attempts);
    at = putInteger(out, at, record.attempts);
    at = putBytes(out, at, labels.json);
    at = putBytes(out, at, consumer.json);
    at = putBytes(out, at, PIECE.bytesIn);
    at = putInteger(out, at, record.bytesIn);
    at = putBytes(out, at, PIECE.bytesOut);
    at = putInteger(out, at, record.bytesOut);
    at = putBytes(out, at, PIECE.duration);
    at = putMilliseconds(out, at, record.durationMs);
    at = putBytes(out, at, PIECE.upstreamMs);
    if (record.upstreamMs >= 0) at = putMilliseconds(out, at, record.upstreamMs);
    else at = putBytes(out, at, PIECE.null);
    at = putBytes(out, at, PIECE.userAgent);
    at = putEscaped(out, at, source, record.userAgentStart, record.userAgentEnd);
    at = putBytes(out, at, PIECE.revision);
    at = putInteger(out, at, record.revision);
    if (record.targetCut || record.hostCut || record.userAgentCut) at = putCut(out, at, record);
    at = putBytes(out, at, PIECE.end);
    sink.commit(at, this.#now);
  }

  /** `{"time":"` and an RFC 3339 time with milliseconds, without its Z. */
  #putTime(out: Latin1Buffer, at: number, startedAt: number): number {
    // Beyond what a Date can hold there is no way to write it.
    const time = Math.abs(startedAt) <= 8.64e15 ? Math.floor(startedAt) : 0;
    const second = Math.floor(time / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#timePrefix = Buffer.from(`{"time":"${new Date(second * 1000).toISOString().slice(0, -4)}`);
    }
    const position = putBytes(out, at, this.#timePrefix);
    putThreeDigits(out, position, time - second * 1000);
    return position + 3;
  }
}

/** Names the fields of which only the beginning stands in the line. */
function putCut(out: Latin1Buffer, at: number, record: ExchangeRecord<RouteWords, Word>): number {
  const fields = [
    ...(record.targetCut ? ['uri'] : []),
    ...(record.hostCut ? ['host'] : []),
    ...(record.userAgentCut ? ['user_agent'] : []),
  ];
  return putBytes(out, at, Buffer.from(`,"cut":${JSON.stringify(fields)}`));
}
