import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import { BodyFraming } from './body-framing.ts';
import { COMPLETE, MORE } from './field-parser.ts';
import type { Head } from './head.ts';
import { output } from './output.ts';
import { type ProtocolError, Refusal } from './protocol-error.ts';
import { parseRequest } from './request-parser.ts';
import type { Accepted, ConnectionHost, ServerExchange } from './server-exchange.ts';
import { CONGESTED, type Transport, type TransportOwner, type WriteResult } from './transport.ts';

const State = { Head: 0, Body: 1, Waiting: 2, Draining: 3, Closing: 4, Tunnel: 5, Closed: 6 } as const;

/** An unread body up to this size is read and thrown away to keep the connection. */
const MAX_DRAINED_BYTES = 256 * 1024;
/** How long a closed connection may take to be read to its end, so that the client gets our answer. */
const LINGER = deadlinesOf(2_000);
const PROBE = deadlinesOf(250);
const PROBE_AGAIN = deadlinesOf(5_000);

/** An interim response (RFC 9110 15.2) that any HTTP/1.1 client skips: if the client is gone, its system answers with a reset. */
const PROCESSING = Buffer.from('HTTP/1.1 102 Processing\r\n\r\n');

/** Takes the bytes of a connection that is a tunnel. */
export interface ClientTunnel extends TransportOwner {
  /** The process wants to stop. */
  onDraining(): void;
}

/** A client's HTTP/1.1 connection: heads, framing of bodies, keep-alive, pipelining, timeouts. */
export class ClientConnection implements TransportOwner, Waiting, Accepted {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly host: ConnectionHost;
  readonly transport: Transport;
  exchange: ServerExchange | null = null;
  /** The connection may serve another request after this one. */
  keepAlive = true;
  /** What the host prepared for all requests of this connection. */
  prepared: Buffer | null = null;
  #state: number = State.Head;
  #requests = 0;
  readonly #body = new BodyFraming();
  /** Bytes that came before they could be used: the next pipelined request. */
  #pending: Buffer | null = null;
  /** What was pending and is being served: our own memory, which needs no second copy. */
  #serving: Buffer | null = null;
  #inside = false;
  /** The Exchange wants no more of the body for now. */
  #bodyPaused = false;
  #congested = false;
  /** What was unsent when congestion was last looked at. */
  #unsent = 0;
  #peerEnded = false;
  #probes = 0;
  #drained = 0;
  /** Takes the bytes once the connection is a tunnel. */
  tunnel: ClientTunnel | null = null;

  constructor(host: ConnectionHost, makeTransport: (owner: TransportOwner) => Transport) {
    this.host = host;
    this.transport = makeTransport(this);
    host.limits.head.arm(this);
  }

  /** The request's last byte has been seen. */
  get requestComplete(): boolean {
    return this.#body.complete;
  }

  /** Bytes of data that the request's chunks have brought so far. */
  get chunkedBytes(): number {
    return this.#body.chunkedBytes;
  }

  /** Whether a response's head may say that the connection stays after it; after a no, it closes. */
  stays(): boolean {
    if (this.host.draining) this.keepAlive = false;
    return this.keepAlive;
  }

  get remoteAddress(): string {
    return this.transport.remoteAddress;
  }

  drain(): void {
    if (this.#state === State.Tunnel) this.tunnel?.onDraining();
    else if (this.#state === State.Head && this.exchange === null) this.close();
  }

  destroy(): void {
    this.transport.destroy();
  }

  // What comes from the transport.

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    switch (this.#state) {
      case State.Head:
        this.#inside = true;
        this.#onHeadBytes(bytes, start, end);
        this.#inside = false;
        this.#goOn();
        return;
      case State.Body:
        this.#onBodyBytes(bytes, start, end);
        return;
      case State.Waiting:
        this.#keep(bytes, start, end);
        return;
      case State.Draining:
        this.#onDrainedBytes(bytes, start, end);
        return;
      case State.Tunnel:
        this.tunnel?.onData(bytes, start, end);
        return;
    }
  }

  onEnd(): void {
    this.#peerEnded = true;
    switch (this.#state) {
      case State.Tunnel:
        this.tunnel?.onEnd();
        return;
      case State.Body:
        this.#lose('client_abort');
        return;
      case State.Waiting:
        // A client that only finished sending still wants the answer; one that went away doesn't.
        // Requests that came before the end are still served.
        if (this.#pending === null) this.keepAlive = false;
        if (!this.#congested) PROBE.arm(this);
        return;
      default:
        this.close();
    }
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
    switch (this.#state) {
      case State.Head:
        this.host.limits.idle.arm(this);
        this.#goOn();
        return;
      case State.Body:
        if (!this.#bodyPaused) this.host.limits.body.arm(this);
        break;
      case State.Waiting:
        if (this.#peerEnded) PROBE.arm(this);
        break;
      case State.Draining:
        this.host.limits.body.arm(this);
        break;
      case State.Closing:
        LINGER.arm(this);
        break;
    }
    this.exchange?.onClientDrain();
  }

  onClose(error: Error | undefined): void {
    if (this.#state === State.Closed) return;
    const { tunnel, exchange } = this;
    this.#state = State.Closed;
    disarm(this);
    this.#pending = this.#serving = null;
    this.exchange = null;
    if (tunnel !== null) tunnel.onClose(error);
    else exchange?.onClientGone('client_abort');
    this.host.onConnectionClosed(this);
  }

  onDeadline(): void {
    if (this.#congested) return this.#onSendDeadline();
    switch (this.#state) {
      case State.Head:
        if (this.exchange === null) this.close();
        else this.#refuse(Refusal.HeadTimeout);
        return;
      case State.Body:
        this.#refuse(Refusal.BodyTimeout);
        return;
      case State.Waiting:
        this.#probe();
        return;
      case State.Draining:
        this.close();
        return;
      case State.Closing:
        this.transport.destroy();
        return;
    }
  }

  // What the Exchange asks for.

  /** Sends what is in `output`. */
  send(): WriteResult {
    const result = output.send(this.transport);
    if (result === CONGESTED) this.#onCongested();
    return result;
  }

  /** Sends bytes that are only valid now. */
  relay(bytes: Uint8Array, start: number, end: number): WriteResult {
    const result = output.relay(this.transport, bytes, start, end);
    if (result === CONGESTED) this.#onCongested();
    return result;
  }

  /** Stops the request's body until `resumeBody`. */
  pauseBody(): void {
    if (this.#state !== State.Body) return;
    this.#bodyPaused = true;
    if (!this.#congested) disarm(this);
    this.transport.pause();
  }

  resumeBody(): void {
    if (this.#state !== State.Body) return;
    this.#bodyPaused = false;
    if (!this.#congested) this.host.limits.body.arm(this);
    this.transport.resume();
  }

  /** Whether the connection can go on after a response that is sent before the request is complete. */
  get canDrain(): boolean {
    return (
      this.requestComplete ||
      (this.#body.left >= 0 &&
        this.#body.left <= MAX_DRAINED_BYTES &&
        this.exchange?.requestHead.expectContinue !== true)
    );
  }

  /** The response is sent; the Exchange is over and must not be used any more. */
  finish(): void {
    this.exchange = null;
    if (this.#state === State.Closed) return;
    if (!this.keepAlive || this.host.closing || (this.#peerEnded && this.#pending === null))
      return this.close();
    if (!this.requestComplete) {
      this.#state = State.Draining;
      this.#drained = 0;
      if (!this.#congested) this.host.limits.body.arm(this);
      this.transport.resume();
      return;
    }
    this.#awaitHead();
  }

  /** Ends the connection so that nobody can take what was sent for complete. */
  abort(): void {
    this.exchange = null;
    this.#state = State.Closing;
    // A stream of gRPC still says how the call ended; a client that doesn't listen can't keep it open.
    LINGER.arm(this);
    this.transport.reset();
  }

  /** Answers the request with a refusal, or aborts a response that has begun. */
  refuse(refusal: ProtocolError): void {
    this.#refuse(refusal);
  }

  /** Sends what is pending and closes; reads to the end for a moment, so that a reset doesn't eat our answer. */
  close(): void {
    if (this.#state === State.Closed) return;
    this.#state = State.Closing;
    this.#pending = null;
    this.transport.end();
    // What is still on its way gets the time that a client may take to read; no drain is heard any more.
    if (!this.#congested) {
      if (this.transport.unsent > 0) this.#onCongested();
      else LINGER.arm(this);
    }
    this.transport.resume();
  }

  /** From now on bytes belong to the tunnel, those that came early first. */
  becomeTunnel(tunnel: ClientTunnel): void {
    this.exchange = null;
    this.#state = State.Tunnel;
    this.#congested = false;
    disarm(this);
    this.tunnel = tunnel;
    const early = this.#pending;
    this.#pending = null;
    if (early !== null) tunnel.onData(early, 0, early.length);
    this.transport.resume();
  }

  // Heads.

  #onHeadBytes(bytes: Uint8Array, start: number, end: number): void {
    const { limits } = this.host;
    const exchange = (this.exchange ??= this.host.acquire(this));
    const head = exchange.requestHead;
    const begins = head.filled === 0;
    let at = start;
    for (;;) {
      const before = head.filled;
      const appended = at;
      at += head.append(bytes, at, end);
      const result = parseRequest(head, limits);
      if (result === COMPLETE) {
        this.#onHead(exchange, head, bytes, appended + head.length - before, end);
        return;
      }
      if (result !== MORE) return this.#refuse(result);
      const full = head.filled === head.bytes.length;
      if (full && !head.grow(limits.maxHeadBytes)) return this.#refuse(Refusal.HeadTooLarge);
      if (at === end) break;
    }
    // Most heads come whole and need no deadline.
    if (begins) limits.head.arm(this);
  }

  #onHead(exchange: ServerExchange, head: Head, bytes: Uint8Array, bodyStart: number, end: number): void {
    const { limits } = this.host;
    disarm(this);
    if (head.length > limits.maxHeadBytes) return this.#refuse(Refusal.HeadTooLarge);
    this.#requests++;
    this.keepAlive =
      (head.minorVersion === 1 ? !head.close : head.keepAlive && !head.close) &&
      this.#requests < limits.maxRequests;
    if (head.chunked) this.#body.beginChunked();
    else {
      this.#body.beginLength(Math.max(head.contentLength, 0));
      if (limits.maxBodyBytes > 0 && this.#body.left > limits.maxBodyBytes)
        return this.#refuse(Refusal.BodyTooLarge);
    }
    const bodyEnd = this.requestComplete ? bodyStart : this.#followBody(bytes, bodyStart, end);
    if (bodyEnd < 0) return;
    if (bodyEnd < end) this.#keep(bytes, bodyEnd, end);
    else this.transport.resume(); // so that a client that goes away is noticed
    this.#bodyPaused = false;
    this.#state = this.requestComplete ? State.Waiting : State.Body;
    if (!this.requestComplete) limits.body.arm(this);
    if (this.#peerEnded) {
      if (!this.requestComplete) return this.#lose('client_abort'); // the rest will never come
      if (this.#pending === null) this.keepAlive = false;
      PROBE.arm(this);
    }
    exchange.onRequest(bytes, bodyStart, bodyEnd, this.requestComplete);
  }

  // Bodies.

  /** Where the body's bytes end in this piece; -1 when the request was refused for them. */
  #followBody(bytes: Uint8Array, start: number, end: number): number {
    const bodyEnd = this.#body.follow(bytes, start, end);
    const { maxBodyBytes } = this.host.limits;
    if (bodyEnd < 0) this.#refuse(Refusal.Chunk);
    else if (maxBodyBytes > 0 && this.#body.chunkedBytes > maxBodyBytes) this.#refuse(Refusal.BodyTooLarge);
    else return bodyEnd;
    return -1;
  }

  #onBodyBytes(bytes: Uint8Array, start: number, end: number): void {
    const bodyEnd = this.#followBody(bytes, start, end);
    if (bodyEnd < 0) return;
    if (this.requestComplete) {
      this.#state = State.Waiting;
      if (!this.#congested) disarm(this);
      if (bodyEnd < end) this.#keep(bytes, bodyEnd, end);
    } else if (!this.#congested) this.host.limits.body.arm(this);
    this.exchange!.onRequestBody(bytes, start, bodyEnd, this.requestComplete);
  }

  #onDrainedBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#drained += end - start;
    const bodyEnd = this.#followBody(bytes, start, end);
    if (bodyEnd < 0) return;
    if (this.requestComplete) {
      if (bodyEnd < end) this.#keep(bytes, bodyEnd, end);
      this.#awaitHead();
    } else if (this.#drained > MAX_DRAINED_BYTES) this.close();
  }

  // Pipelining.

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const piece = bytes.subarray(start, end);
    if (bytes === this.#serving) this.#pending = this.#serving.subarray(start, end);
    else this.#pending = this.#pending === null ? Buffer.from(piece) : Buffer.concat([this.#pending, piece]);
    this.transport.pause();
  }

  /** The connection is free for the next request. */
  #awaitHead(): void {
    this.#state = State.Head;
    // Nothing more is read from a client that doesn't read: its answers would pile up.
    if (this.#congested) this.transport.pause();
    else this.host.limits.idle.arm(this);
    if (!this.#inside) this.#goOn();
  }

  /** Serves what was pipelined, as long as answers are there at once. */
  #goOn(): void {
    while (this.#state === State.Head && this.#pending !== null && !this.#inside && !this.#congested) {
      const pending = this.#pending;
      this.#pending = null;
      this.#serving = pending;
      this.#inside = true;
      this.#onHeadBytes(pending, 0, pending.length);
      this.#inside = false;
      this.#serving = null;
    }
    if (this.#state === State.Head && this.#pending === null && !this.#congested) {
      if (this.#peerEnded) this.close();
      else this.transport.resume();
    }
  }

  // Trouble.

  #refuse(refusal: ProtocolError): void {
    disarm(this);
    this.keepAlive = false;
    const { exchange } = this;
    if (this.#state === State.Head) this.#state = State.Waiting;
    if (exchange === null) this.close();
    else exchange.onRefused(refusal);
  }

  #lose(reason: string): void {
    const { exchange } = this;
    this.exchange = null;
    this.#state = State.Closing;
    disarm(this);
    this.transport.destroy();
    exchange?.onClientGone(reason);
  }

  #onCongested(): void {
    this.#congested = true;
    this.#unsent = this.transport.unsent;
    this.host.limits.send.arm(this);
  }

  /** Nothing was heard of the write for a while; it may be large and the client slow yet reading. */
  #onSendDeadline(): void {
    const { unsent } = this.transport;
    if (unsent === this.#unsent) return this.#lose('client_send_timeout');
    this.#unsent = unsent;
    if (unsent === 0 && this.#state === State.Closing) {
      this.#congested = false;
      LINGER.arm(this);
    } else this.host.limits.send.arm(this);
  }

  /** Finds out whether a client that ended its side still listens. */
  #probe(): void {
    const { exchange } = this;
    if (exchange === null || !exchange.mayProbe || exchange.requestHead.minorVersion === 0) return;
    this.transport.write(PROCESSING, 0, PROCESSING.length);
    (++this.#probes < 4 ? PROBE : PROBE_AGAIN).arm(this);
  }
}
