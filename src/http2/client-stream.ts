import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { ChunkSink } from '../http/chunked.ts';
import { ClientConnection } from '../http/client-connection.ts';
import { Refusal } from '../http/protocol-error.ts';
import type { ConnectionHost } from '../http/server-exchange.ts';
import { CONGESTED, type Transport, WRITTEN, type WriteResult } from '../http/transport.ts';
import { beginEvent } from '../lib/event-clock.ts';
import { BodyReader } from './body-reader.ts';
import { breakOff, cancel } from './break-off.ts';
import { deliverChunk, deliverLastChunk } from './chunk-writer.ts';
import { ErrorCode } from './error-code.ts';
import { GrpcStatus, grpcTimeout } from './grpc-status.ts';
import {
  addField,
  type Fields,
  fieldsOf,
  isConnectionSpecific,
  isGrpc,
  readHead,
  requestText,
} from './head-text.ts';

/** A longer wait than a timer can hold is none. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const END_STREAM = 1;
/** What a stream may still send after its answer is complete, before it is told to stop. */
const MAX_DRAINED_BYTES = 64 * 1024;

/** What the session knows of its client. */
export type ClientAddress = Pick<
  Transport,
  'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort' | 'tls'
>;

interface Owned extends ServerHttp2Stream {
  transport: ClientStream;
}

function onData(this: Owned, bytes: Buffer): void {
  beginEvent();
  this.transport.onData(bytes);
}
function onEnd(this: Owned): void {
  beginEvent();
  this.transport.onEnd();
}
function onTrailers(
  this: Owned,
  _fields: IncomingHttpHeaders,
  _flags: number,
  raw?: readonly string[],
): void {
  this.transport.requestTrailers = raw;
}
function onDrain(this: Owned): void {
  beginEvent();
  this.transport.connection.onDrain();
}
function onWantTrailers(this: Owned): void {
  this.sendTrailers(this.transport.responseTrailers());
}
function onError(this: Owned, error: Error): void {
  this.transport.error = error;
}
function onClose(this: Owned): void {
  beginEvent();
  this.transport.onClose();
}

/**
 * One stream of a client's HTTP/2 session, to the engine a connection with one request in HTTP/1.1.
 * A response that can't be completed becomes RST_STREAM, or the status of a gRPC call.
 */
export class ClientStream implements Transport, ChunkSink {
  readonly connection: ClientConnection;
  readonly #stream: ServerHttp2Stream;
  readonly #address: ClientAddress;
  readonly #body = new BodyReader();
  error: Error | undefined;
  /** Names and values by turns. */
  requestTrailers: readonly string[] | undefined;
  #chunked = false;
  #requestEnded: boolean;
  #headRequest = false;
  #paused = false;
  #responded = false;
  /** Nothing more is written. */
  #ended = false;
  #closed = false;
  #drained = 0;
  /** The response is gRPC's and ends with trailers. */
  #grpc = false;
  #expired = false;
  #aborted = false;
  #timer: NodeJS.Timeout | undefined;

  /** `raw` are the fields of the request's head, names and values by turns. */
  constructor(
    stream: ServerHttp2Stream,
    raw: readonly string[],
    flags: number,
    host: ConnectionHost,
    address: ClientAddress,
  ) {
    this.#stream = stream;
    this.#address = address;
    this.#requestEnded = (flags & END_STREAM) !== 0;
    (stream as Owned).transport = this;
    stream.on('drain', onDrain);
    stream.on('error', onError);
    stream.on('aborted', onClose);
    stream.on('close', onClose);
    this.connection = new ClientConnection(host, () => this);
    const request = requestText(raw, this.#requestEnded);
    if (request === undefined) {
      stream.close(ErrorCode.Protocol);
      return;
    }
    this.#headRequest = request.text.startsWith('HEAD ');
    this.#chunked = request.chunked;
    // A stream that nobody reads is read by node:http2 when it closes; done before, its last write
    // would still be under way when it is destroyed, which costs an error object each time.
    if (!this.#requestEnded) {
      stream.on('data', onData);
      stream.on('end', onEnd);
      stream.on('trailers', onTrailers as () => void);
    }
    const timeout = request.grpc ? grpcTimeout(request.timeout) : undefined;
    if (timeout !== undefined && timeout <= MAX_TIMER_MS) {
      this.#timer = setTimeout(() => this.#expire(), timeout);
    }
    const head = Buffer.from(request.text, 'latin1');
    this.connection.onData(head, 0, head.length);
  }

  get remoteAddress(): string {
    return this.#address.remoteAddress;
  }

  get remotePort(): number {
    return this.#address.remotePort;
  }

  get tls(): Transport['tls'] {
    return this.#address.tls;
  }

  get localAddress(): string {
    return this.#address.localAddress;
  }

  get localPort(): number {
    return this.#address.localPort;
  }

  get unsent(): number {
    return this.#closed ? 0 : this.#stream.writableLength;
  }

  // What the client sends.

  onData(bytes: Buffer): void {
    if (this.#closed) return;
    if (this.#ended) {
      // Whoever was answered may stop sending (RFC 9113 8.1). Not told at once: what is on its way
      // ends the stream cleanly, and some clients forget an answer when a reset follows.
      this.#drained += bytes.length;
      if (this.#drained > MAX_DRAINED_BYTES) this.#stream.close(ErrorCode.No);
    } else if (this.#chunked) deliverChunk(this.connection, bytes);
    else this.connection.onData(bytes, 0, bytes.length);
  }

  onEnd(): void {
    this.#requestEnded = true;
    // A client that resets its stream also ends it: its request isn't complete.
    if (this.#closed || this.#ended || !this.#chunked || this.#stream.aborted) return;
    deliverLastChunk(this.connection, this.requestTrailers);
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.connection.onClose(this.error);
    // node:http2 keeps a stream that was reset without an error, and its place in the session, until
    // somebody has read what came before.
    this.resume();
  }

  /** The time that the client gave its call is over; it hears so even if its own clock is late. */
  #expire(): void {
    if (this.#closed || this.#ended) return;
    beginEvent();
    this.#expired = true;
    this.connection.refuse(Refusal.GrpcDeadline);
  }

  // What the engine writes.

  write(bytes: Buffer, start: number, end: number): WriteResult {
    if (this.#closed || this.#ended) return WRITTEN;
    let at = start;
    while (!this.#responded) {
      if (at === end) return WRITTEN;
      at = this.#writeHead(bytes, at, end);
      if (at < 0) return WRITTEN;
    }
    if (!this.#body.read(bytes, at, end)) breakOff(this.#stream);
    else if (this.#body.complete) this.#finish();
    return this.#stream.writableNeedDrain && !this.#ended ? CONGESTED : WRITTEN;
  }

  /** Where the head ends, or -1 when the stream had to be closed. */
  #writeHead(bytes: Buffer, start: number, end: number): number {
    const head = readHead(bytes, start, end);
    const status = head === undefined ? Number.NaN : Number(head.line.slice(9, 12));
    if (head === undefined || Number.isNaN(status)) return this.#breakOff();
    const { fields } = head;
    const out = fieldsOf({ ':status': status });
    let type = '';
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i];
      if (isConnectionSpecific(name)) continue;
      if (name === 'content-type') type = fields[i + 1];
      addField(out, name, fields[i + 1]);
    }
    try {
      if (status < 200) {
        this.#stream.additionalHeaders(out);
        return head.bodyStart;
      }
      const bare = this.#headRequest || status === 204 || status === 304;
      this.#body.begin(fields, bare, !bare, this);
      this.#grpc = isGrpc(type);
      // A gRPC response without messages is its trailers alone: no length belongs there.
      if (this.#grpc && this.#body.complete) delete out['content-length'];
      this.#responded = true;
      if (this.#body.chunked) this.#stream.on('wantTrailers', onWantTrailers);
      this.#stream.respond(out, { endStream: this.#body.complete, waitForTrailers: this.#body.chunked });
    } catch (error) {
      this.error = error as Error;
      return this.#breakOff();
    }
    return head.bodyStart;
  }

  #breakOff(): number {
    breakOff(this.#stream);
    return -1;
  }

  onChunkData(bytes: Uint8Array, start: number, end: number): void {
    // node:http2 keeps what it is given until it has sent it.
    const copy = Buffer.from(bytes.subarray(start, end));
    if (this.#body.complete && !this.#body.chunked) {
      this.#finish(copy);
    } else this.#stream.write(copy);
  }

  /** The response is complete with these bytes. */
  #finish(last?: Buffer): void {
    clearTimeout(this.#timer);
    if (this.#ended) return;
    this.#ended = true;
    // No drain is heard of a stream that is ended, and the engine waits for one.
    if (!this.#requestEnded) this.#stream.on('finish', onDrain);
    this.#stream.end(last);
  }

  responseTrailers(): Fields {
    if (!this.#aborted) return this.#body.trailers();
    return this.#expired
      ? { 'grpc-status': String(GrpcStatus.DeadlineExceeded), 'grpc-message': 'deadline exceeded' }
      : { 'grpc-status': String(GrpcStatus.Unavailable), 'grpc-message': 'the upstream broke off' };
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#stream.resume();
  }

  end(): void {
    if (this.#closed || this.#ended) return;
    if (this.#responded && this.#body.untilClose) this.#finish();
    else this.destroy();
  }

  destroy(): void {
    if (this.#closed) return;
    if (this.#ended && this.#stream.writableFinished) this.#stream.close(ErrorCode.No);
    else cancel(this.#stream);
  }

  reset(): void {
    if (this.#closed) return;
    if (this.#grpc && this.#body.chunked && !this.#ended) {
      // A call that fails says so in its trailers; INTERNAL_ERROR would blame the gateway.
      this.#aborted = true;
      this.#finish();
    } else breakOff(this.#stream);
  }
}
