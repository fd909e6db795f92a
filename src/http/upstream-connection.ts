import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import { BodyFraming } from './body-framing.ts';
import { COMPLETE, MORE } from './field-parser.ts';
import type { Head } from './head.ts';
import { output } from './output.ts';
import { parseResponse } from './response-parser.ts';
import { CONGESTED, type Transport, type TransportOwner, type WriteResult } from './transport.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/** Why an attempt at a Target failed; the words of the access log's `reason`. */
export type UpstreamFailure =
  | 'connect_failed'
  | 'connect_timeout'
  | 'send_timeout'
  | 'read_timeout'
  | 'upstream_closed'
  | 'upstream_reset'
  | 'bad_response'
  | 'tls_failed';

/** One request to an Upstream, as the connection drives it. */
export interface UpstreamExchange {
  readonly responseHead: Head;
  readonly requestIsHead: boolean;
  /** The connection is made and the request can be sent. */
  onUpstreamReady(connection: UpstreamConnection): void;
  /** An interim response is in responseHead. */
  onInterim(connection: UpstreamConnection): void;
  /** 101 is in responseHead: the connection is a tunnel now, these bytes are its first. False when it wasn't asked for. */
  onSwitched(connection: UpstreamConnection, bytes: Uint8Array, start: number, end: number): boolean;
  /** The head of the final response is there, with the first piece of the body (valid during the call only). */
  onResponse(bytes: Uint8Array, start: number, end: number, complete: boolean): void;
  onResponseBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void;
  /** All of the response has been given and the connection is free or gone. */
  onResponseEnd(): void;
  /** The connection is of no use any more; it has been let go. */
  onUpstreamFailure(connection: UpstreamConnection, failure: UpstreamFailure): void;
  /** The Upstream reads again after congestion. */
  onUpstreamDrain(): void;
}

const State = { Connecting: 0, Idle: 1, Head: 2, Body: 3, Tunnel: 4, Closed: 5 } as const;

const MAX_RESPONSE_HEAD = 64 * 1024;
const LONG = deadlinesOf(60_000);

/** A connection to a Target: one request at a time, kept for the next. */
export class UpstreamConnection implements TransportOwner, Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;
  /** What was wrong with TLS, when that is why it failed. */
  tlsProblem: string | undefined;

  readonly pool: UpstreamPool;
  transport!: Transport;
  /** What it was connected to. */
  address = '';
  exchange: UpstreamExchange | null = null;
  /** It has served a request before this one, so the Target may have closed it meanwhile. */
  reused = false;
  requests = 0;
  /** Bytes of the response came: the request can't be sent again elsewhere. */
  answered = false;
  /** Wait between two reads, and between two writes. */
  readDeadlines: Deadlines = LONG;
  sendDeadlines: Deadlines = LONG;
  /** The Exchange has sent its whole request. */
  requestSent = false;
  #state: number = State.Connecting;
  readonly #body = new BodyFraming();
  #keep = true;
  #congested = false;
  /** What was unsent when congestion was last looked at. */
  #unsent = 0;
  #paused = false;
  tunnel: TransportOwner | null = null;

  constructor(pool: UpstreamPool) {
    this.pool = pool;
  }

  get open(): boolean {
    return this.#state !== State.Closed;
  }

  /** Its transport is part of a connection that is there already. */
  beginReady(exchange: UpstreamExchange): void {
    this.#state = State.Idle;
    this.reused = true;
    this.begin(exchange);
  }

  /** Takes a request: from now on what comes is its response. */
  begin(exchange: UpstreamExchange): void {
    this.exchange = exchange;
    this.requests++;
    this.answered = this.requestSent = false;
    if (this.#state === State.Idle) {
      disarm(this);
      this.#state = State.Head;
    }
  }

  /** Sends what is in `output`; `complete` when it ends the request. */
  send(complete: boolean): WriteResult {
    return this.#sent(output.send(this.transport), complete);
  }

  /** Sends bytes that are only valid now. */
  relay(bytes: Uint8Array, start: number, end: number, complete: boolean): WriteResult {
    return this.#sent(output.relay(this.transport, bytes, start, end), complete);
  }

  pause(): void {
    if (this.#state === State.Closed) return;
    this.#paused = true;
    if (!this.#congested) disarm(this);
    this.transport.pause();
  }

  resume(): void {
    if (this.#state === State.Closed || !this.#paused) return;
    this.#paused = false;
    if (this.requestSent && !this.#congested) this.readDeadlines.arm(this);
    this.transport.resume();
  }

  /** Lets go of the connection and closes it; nothing more is heard of it. */
  destroy(): void {
    this.exchange = null;
    this.tunnel = null;
    if (this.#state === State.Closed) return;
    this.#state = State.Closed;
    disarm(this);
    this.pool.onClosed(this);
    this.transport.destroy();
  }

  // What comes from the transport.

  onConnected(): void {
    if (this.#state !== State.Connecting) return;
    disarm(this);
    this.#state = State.Head;
    if (this.exchange !== null) this.exchange.onUpstreamReady(this);
    else this.#free();
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#state === State.Tunnel) {
      this.tunnel?.onData(bytes, start, end);
      return;
    }
    const { exchange } = this;
    // Bytes that nobody asked for would be taken for the next request's response.
    if (exchange === null) return this.destroy();
    this.answered = true;
    if (this.#state === State.Head) this.#onHeadBytes(exchange, bytes, start, end);
    else this.#onBodyBytes(exchange, bytes, start, end);
  }

  onEnd(): void {
    if (this.#state === State.Tunnel) {
      this.tunnel?.onEnd();
      return;
    }
    if (this.#state === State.Body && this.#body.untilClose && this.exchange !== null) {
      const { exchange } = this;
      exchange.onResponseBody(NOTHING, 0, 0, true);
      // It may have let go of us, and be another request's by now.
      if (this.exchange !== exchange) return;
      this.destroy();
      exchange.onResponseEnd();
      return;
    }
    this.#fail('upstream_closed');
  }

  onDrain(): void {
    if (this.#state === State.Tunnel) {
      this.tunnel?.onDrain();
      return;
    }
    // Node says so also after a large write that went out at once.
    if (!this.#congested) return;
    this.#congested = false;
    disarm(this);
    if (this.requestSent && !this.#paused) this.readDeadlines.arm(this);
    this.exchange?.onUpstreamDrain();
  }

  onClose(error: Error | undefined): void {
    if (this.#state === State.Closed) return;
    if (this.#state === State.Tunnel) {
      const { tunnel } = this;
      this.#state = State.Closed;
      this.pool.onClosed(this);
      tunnel?.onClose(error);
      return;
    }
    this.tlsProblem = tlsProblem(error);
    if (this.#state === State.Connecting) {
      this.#fail(this.tlsProblem === undefined ? 'connect_failed' : 'tls_failed');
    } else this.#fail(error === undefined ? 'upstream_closed' : 'upstream_reset');
  }

  onDeadline(): void {
    if (this.exchange === null) return this.destroy(); // idle for long enough
    if (this.#state === State.Connecting) return this.#fail('connect_timeout');
    if (!this.#congested) return this.#fail('read_timeout');
    // One large write takes a Target a while that reads slowly, yet reads.
    const { unsent } = this.transport;
    if (unsent === this.#unsent) return this.#fail('send_timeout');
    this.#unsent = unsent;
    this.sendDeadlines.arm(this);
  }

  #sent(result: WriteResult, complete: boolean): WriteResult {
    if (complete) this.requestSent = true;
    if (result === CONGESTED) {
      this.#congested = true;
      this.#unsent = this.transport.unsent;
      this.sendDeadlines.arm(this);
    } else if (complete && !this.#paused) this.readDeadlines.arm(this);
    return result;
  }

  #fail(failure: UpstreamFailure): void {
    const { exchange } = this;
    this.destroy();
    exchange?.onUpstreamFailure(this, failure);
  }

  #onHeadBytes(exchange: UpstreamExchange, bytes: Uint8Array, start: number, end: number): void {
    const head = exchange.responseHead;
    let at = start;
    for (;;) {
      const before = head.filled;
      const appended = at;
      at += head.append(bytes, at, end);
      const result = parseResponse(head);
      if (result === COMPLETE) {
        at = appended + head.length - before;
        if (head.status >= 200 || head.status === 101) break;
        if (this.requestSent) this.#onProgress();
        exchange.onInterim(this);
        if (this.exchange !== exchange) return;
        head.reset();
        if (at === end) return;
        continue;
      }
      if (result !== MORE) return this.#fail('bad_response');
      if (at === end && head.filled < head.bytes.length) return;
      if (!head.grow(MAX_RESPONSE_HEAD)) return this.#fail('bad_response');
      if (at === end) return;
    }
    if (head.status === 101) {
      this.#state = State.Tunnel;
      disarm(this);
      if (!exchange.onSwitched(this, bytes, at, end)) {
        this.#state = State.Head;
        this.#fail('bad_response');
      }
      return;
    }
    this.#onResponse(exchange, head, bytes, at, end);
  }

  #onResponse(exchange: UpstreamExchange, head: Head, bytes: Uint8Array, start: number, end: number): void {
    this.#keep = head.minorVersion === 1 ? !head.close : head.keepAlive && !head.close;
    this.#state = State.Body;
    if (exchange.requestIsHead || head.status === 204 || head.status === 304) {
      this.#body.beginLength(0);
    } else if (head.chunked) this.#body.beginChunked();
    else if (head.contentLength >= 0) this.#body.beginLength(head.contentLength);
    else {
      this.#body.beginUntilClose();
      this.#keep = false;
    }
    const bodyEnd = this.#body.follow(bytes, start, end);
    if (bodyEnd < 0) return this.#fail('bad_response');
    const { complete } = this.#body;
    if (!complete) this.#onProgress();
    exchange.onResponse(bytes, start, bodyEnd, complete);
    if (complete) this.#finish(exchange, bodyEnd < end);
  }

  #onProgress(): void {
    if (!this.#congested) this.readDeadlines.arm(this);
  }

  #onBodyBytes(exchange: UpstreamExchange, bytes: Uint8Array, start: number, end: number): void {
    const bodyEnd = this.#body.follow(bytes, start, end);
    if (bodyEnd < 0) return this.#fail('bad_response');
    const { complete } = this.#body;
    if (!complete) this.#onProgress();
    exchange.onResponseBody(bytes, start, bodyEnd, complete);
    if (complete) this.#finish(exchange, bodyEnd < end);
  }

  /** The response is complete; `surplus` when more bytes came than belong to it. */
  #finish(exchange: UpstreamExchange, surplus: boolean): void {
    // The Exchange may have let go of us, and be another request's by now.
    if (this.exchange !== exchange) return;
    if (this.#keep && !surplus && this.requestSent && !this.#congested) this.#free();
    else this.destroy();
    exchange.onResponseEnd();
  }

  #free(): void {
    this.exchange = null;
    this.#state = State.Idle;
    this.reused = true;
    if (this.#paused) {
      this.#paused = false;
      this.transport.resume();
    }
    disarm(this);
    this.pool.release(this);
  }
}

const NOTHING = Buffer.alloc(0);

const TLS_PROBLEM = /^(?:ERR_TLS|ERR_SSL|UNABLE_TO|INVALID_CA|INVALID_PURPOSE|CRL_)|CERT|^EPROTO$/;

/** The code of an error of TLS, as OpenSSL and Node name it. */
function tlsProblem(error: Error | undefined): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return TLS_PROBLEM.test(code) ? code : undefined;
}
