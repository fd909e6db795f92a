import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import type { Scope } from './echo-upstream.ts';

/** What came of one stream. */
export interface Http2Answer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string | string[] | undefined>>;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>> | undefined;
  readonly body: string;
  /** The error code of the RST_STREAM that ended it; 0 for a clean end. */
  readonly code: number;
}

/** A client by node:http2, closed when the test is over. */
export class Http2Client {
  readonly session: ClientHttp2Session;

  constructor(
    scope: Scope,
    port: number,
    options: http2.SecureClientSessionOptions & { tls?: boolean } = {},
  ) {
    const { tls = false, ...rest } = options;
    this.session = http2.connect(`${tls ? 'https' : 'http'}://localhost:${port}`, {
      host: '127.0.0.1',
      ...rest,
    });
    this.session.on('error', () => {});
    scope.after(() => this.session.destroy());
  }

  /** Sends a request whose body, if any, is complete. */
  call(fields: OutgoingHttpHeaders, body?: string | Uint8Array, trailers?: OutgoingHttpHeaders) {
    const stream = this.session.request(fields, { waitForTrailers: trailers !== undefined });
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(body);
    return answerOf(stream);
  }
}

/** Waits for the end of a stream. */
export function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve) => {
    let fields: Http2Answer['fields'] = {};
    let trailers: Http2Answer['trailers'];
    let body = '';
    stream.setEncoding('utf8');
    stream.on('response', (head) => {
      fields = { ...head } as Http2Answer['fields'];
    });
    stream.on('trailers', (tail) => {
      trailers = { ...tail } as Http2Answer['fields'];
    });
    stream.on('data', (piece) => {
      body += piece;
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      resolve({ status: Number(fields[':status'] ?? 0), fields, trailers, body, code: stream.rstCode });
    });
  });
}
