import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { Readable } from 'node:stream';
import type { ChunkSink } from '../http/chunked.ts';
import { CONGESTED, type Transport, WRITTEN, type WriteResult } from '../http/transport.ts';
import type { UpstreamConnection } from '../http/upstream-connection.ts';
import { beginEvent } from '../lib/event-clock.ts';
import { BodyReader } from './body-reader.ts';
import { cancel } from './break-off.ts';
import { deliverChunk, deliverLastChunk } from './chunk-writer.ts';
import { ErrorCode } from './error-code.ts';
import {
  addField,
  type Fields,
  fieldIn,
  fieldsOf,
  isConnectionSpecific,
  isGrpc,
  readHead,
  responseText,
} from './head-text.ts';
import type { UpstreamSession } from './upstream-session.ts';

/** A body up to this size is kept until the answer comes, in case that the Target didn't take the stream. */
const MAX_REPLAY_BYTES = 64 * 1024;
/** Streams tried for one request that the Target refuses. */
const MAX_REFUSALS = 3;
const END_STREAM = 1;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const NO_LENGTH = 'Content-Length: 0\r\n';

interface Owned extends ClientHttp2Stream {
  transport: UpstreamStream;
}

function onResponse(this: Owned, fields: IncomingHttpHeaders, flags: number, raw?: readonly string[]): void {
  beginEvent();
  this.transport.onResponse(Number(fields[':status']), flags, raw ?? []);
}
function onInterim(this: Owned, fields: IncomingHttpHeaders, _flags: number, raw?: readonly string[]): void {
  beginEvent();
  this.transport.onInterim(Number(fields[':status']), raw ?? []);
}
function onTrailers(
  this: Owned,
  _fields: IncomingHttpHeaders,
  _flags: number,
  raw?: readonly string[],
): void {
  this.transport.responseTrailers = raw;
}
function onData(this: Owned, bytes: Buffer): void {
  beginEvent();
  this.transport.onData(bytes);
}
/**
 * A reset without an error ends a stream for node:http2 just as its last frame does. Only at this
 * moment the two differ: the reset has closed it already.
 */
function onPush(this: Owned, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && this.closed) this.transport.cut = true;
  return Readable.prototype.push.call(this, chunk, encoding);
}
function onEnd(this: Owned): void {
  beginEvent();
  this.transport.onEnd();
}
function onDrain(this: Owned): void {
  beginEvent();
  this.transport.onDrain();
}
function onWantTrailers(this: Owned): void {
  this.sendTrailers(this.transport.requestTrailers());
}
function onError(this: Owned, error: Error): void {
  this.transport.error = error;
}
function onClose(this: Owned): void {
  beginEvent();
  this.transport.onClose(this.rstCode);
}

/**
 * To the engine a connection to a Target with one request in HTTP/1.1, in truth a stream of a
 * session. A request that the Target says it hasn't taken (REFUSED_STREAM, or beyond the last
 * stream of a GOAWAY; RFC 9113 8.7) is sent again on another stream, whatever its method.
 */
export class UpstreamStream implements Transport, ChunkSink {
  readonly #owner: UpstreamConnection;
  session: UpstreamSession | undefined;
  #stream: ClientHttp2Stream | undefined;
  readonly #body = new BodyReader();
  #fields: Fields | undefined;
  /** What was sent of the body, undefined once it can't be sent again. */
  #sent: Buffer[] | undefined = [];
  #sentBytes = 0;
  #refusals = 0;
  #requestEnded = false;
  #headRequest = false;
  #chunked = false;
  #answered = false;
  /** Nothing more is heard of it. */
  #done = false;
  #paused = false;
  /** The stream was reset and not ended. */
  cut = false;
  error: Error | undefined;
  responseTrailers: readonly string[] | undefined;

  readonly remoteAddress = '';
  readonly remotePort = 0;
  readonly localAddress = '';
  readonly tls = null;
  readonly localPort = 0;

  constructor(owner: UpstreamConnection) {
    this.#owner = owner;
  }

  get unsent(): number {
    return this.#stream?.writableLength ?? 0;
  }

  // What its session says.

  /** The session can take it: says so to the engine, or goes on where another session refused. */
  onSession(): void {
    if (this.#fields === undefined) this.#owner.onConnected();
    else this.#start();
  }

  /** No session can be had. */
  onNoSession(error: Error | undefined): void {
    this.session = undefined;
    if (this.#done) return;
    this.#done = true;
    this.#owner.onClose(error);
  }

  // What the engine writes.

  write(bytes: Buffer, start: number, end: number): WriteResult {
    if (this.#done || this.#requestEnded) return WRITTEN;
    let at = start;
    if (this.#fields === undefined) {
      const head = readHead(bytes, start, end);
      if (head === undefined) throw new Error('a request head must be written whole');
      this.#takeHead(head.line, head.fields);
      at = head.bodyStart;
    }
    if (!this.#body.read(bytes, at, end)) throw new Error('a request body must keep to its framing');
    if (this.#body.complete) this.#endRequest();
    if (this.#requestEnded) return WRITTEN;
    return this.#stream === undefined || this.#stream.writableNeedDrain ? CONGESTED : WRITTEN;
  }

  #takeHead(line: string, fields: readonly string[]): void {
    const methodEnd = line.indexOf(' ');
    const method = line.slice(0, methodEnd);
    const out = fieldsOf({
      ':method': method,
      ':scheme': this.session!.scheme,
      ':path': line.slice(methodEnd + 1, line.lastIndexOf(' ')),
    });
    this.#headRequest = method === 'HEAD';
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i];
      if (name === 'host') out[':authority'] = fields[i + 1];
      else if (!isConnectionSpecific(name)) addField(out, name, fields[i + 1]);
    }
    // Says that trailers arrive where they are sent to; gRPC insists on it.
    if (isGrpc(String(out['content-type'] ?? ''))) out.te = 'trailers';
    this.#fields = out;
    this.#body.begin(fields, false, false, this);
    this.#requestEnded = this.#body.complete;
    this.#start();
  }

  /** Opens the stream, and sends again what another one has not taken. */
  #start(): void {
    const session = this.session!;
    const endStream = this.#requestEnded && this.#sentBytes === 0 && !this.#body.chunked;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request(this.#fields!, {
        endStream,
        waitForTrailers: this.#body.chunked,
      });
    } catch (error) {
      this.error = error as Error;
      // Heard by the engine only when it has finished what it is doing.
      process.nextTick(() => this.onClose(session.usable ? ErrorCode.Internal : ErrorCode.RefusedStream));
      return;
    }
    this.#stream = stream;
    const owned = stream as Owned;
    owned.transport = this;
    owned.push = onPush;
    owned.on('response', onResponse).on('headers', onInterim).on('trailers', onTrailers);
    owned.on('data', onData).on('end', onEnd).on('drain', onDrain);
    owned.on('error', onError).on('close', onClose);
    if (this.#body.chunked) owned.on('wantTrailers', onWantTrailers);
    if (this.#paused) stream.pause();
    if (this.#refusals === 0) return;
    for (const piece of this.#sent ?? []) stream.write(piece);
    if (this.#sentBytes > MAX_REPLAY_BYTES) this.#sent = undefined;
    if (!this.#requestEnded) this.#owner.onDrain();
    else if (!endStream) stream.end();
  }

  onChunkData(bytes: Uint8Array, start: number, end: number): void {
    // node:http2 keeps what it is given until it has sent it.
    const copy = Buffer.from(bytes.subarray(start, end));
    this.#sentBytes += copy.length;
    const waiting = this.#stream === undefined;
    if (!waiting && (this.#sentBytes > MAX_REPLAY_BYTES || this.#answered)) this.#sent = undefined;
    else this.#sent?.push(copy);
    if (!this.#body.complete || this.#body.chunked) this.#stream?.write(copy);
    else {
      this.#requestEnded = true;
      this.#stream?.end(copy);
    }
  }

  #endRequest(): void {
    if (this.#requestEnded) return;
    this.#requestEnded = true;
    this.#stream?.end();
  }

  requestTrailers(): Fields {
    return this.#body.trailers();
  }

  // What the Target sends.

  onInterim(status: number, raw: readonly string[]): void {
    if (this.#done) return;
    this.#answered = true;
    this.session?.heard();
    if (status === 101) return this.#break(); // HTTP/2 switches nothing (RFC 9113 8.6)
    const text = Buffer.from(responseText(status, raw, ''), 'latin1');
    this.#owner.onData(text, 0, text.length);
  }

  onResponse(status: number, flags: number, raw: readonly string[]): void {
    if (this.#done) return;
    this.#answered = true;
    this.#sent = undefined;
    this.session?.heard();
    const bare = this.#headRequest || status === 204 || status === 304;
    let framing = '';
    // With a length the trailers would have no place, and gRPC ends with them.
    const open = fieldIn(raw, 'content-length') === undefined || isGrpc(fieldIn(raw, 'content-type') ?? '');
    if (!bare && open) {
      this.#chunked = (flags & END_STREAM) === 0;
      framing = this.#chunked ? CHUNKED : NO_LENGTH;
    }
    const text = Buffer.from(responseText(status, raw, framing), 'latin1');
    this.#owner.onData(text, 0, text.length);
  }

  onData(bytes: Buffer): void {
    if (this.#done) return;
    this.session?.heard();
    if (this.#chunked) deliverChunk(this.#owner, bytes);
    else this.#owner.onData(bytes, 0, bytes.length);
  }

  onEnd(): void {
    if (this.#done || this.cut || !this.#chunked) return;
    deliverLastChunk(this.#owner, this.responseTrailers);
    this.#done = true;
  }

  onDrain(): void {
    if (!this.#done) this.#owner.onDrain();
  }

  onClose(code: number): void {
    const session = this.session;
    this.session = this.#stream = undefined;
    session?.leave(this);
    if (this.#done) return;
    if (code === ErrorCode.RefusedStream && !this.#answered && this.#sent !== undefined) {
      if (this.#refusals++ < MAX_REFUSALS && session !== undefined) {
        this.error = undefined;
        session.pool.again(this, session.address);
        return;
      }
    }
    this.#done = true;
    // The Target ended this stream alone: its session hadn't died unnoticed, and another is no better.
    if (session?.usable === true) this.#owner.reused = false;
    this.#owner.onClose(this.error);
  }

  #break(): void {
    this.#stream?.close(ErrorCode.Protocol);
  }

  // How the engine drives it.

  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream?.resume();
  }

  /** The response is complete; the frame that ends the stream may still be on its way. */
  release(): void {
    this.#done = true;
    this.#stream?.resume();
  }

  end(): void {
    this.#endRequest();
  }

  destroy(): void {
    const session = this.session;
    if (this.#stream !== undefined) {
      if (!this.#done) cancel(this.#stream);
    } else session?.leave(this);
    this.#done = true;
  }

  reset(): void {
    this.destroy();
  }
}
