import { output } from '../http/output.ts';
import { CONGESTED } from '../http/transport.ts';
import type { UpstreamConnection, UpstreamFailure } from '../http/upstream-connection.ts';
import { disarm } from '../lib/deadlines.ts';
import type { Admission } from '../plugin/breakers.ts';
import type { BodyCopy } from './body-copy.ts';
import { now } from './clock.ts';
import { type Exchange, Stage } from './exchange.ts';
import { announcement } from './forwarded.ts';
import { writeRequestHead } from './request-writer.ts';
import { TotalTimeout } from './total-timeout.ts';
import type { Target, Upstream } from './upstream.ts';
import { refusedHandshake } from './websocket-handshake.ts';

/** A body up to this size that came at once is kept, so that an idempotent request can be sent again. */
const MAX_REPLAY_BYTES = 64 * 1024;

/** Methods that may be sent twice (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PROPFIND', 'PURGE']);

/** The failures after which another Target may be asked, with the status when none is left. */
const STATUS: Readonly<Record<UpstreamFailure, number>> = {
  connect_failed: 502,
  connect_timeout: 504,
  send_timeout: 504,
  read_timeout: 504,
  upstream_closed: 502,
  upstream_reset: 502,
  bad_response: 502,
  tls_failed: 502,
};

/** The way of one request to a Target: its body, the attempts, the retries. */
export class Forwarding {
  readonly #exchange: Exchange;
  #connection: UpstreamConnection | undefined;
  #upstream: Upstream | undefined;
  #target: Target | undefined;
  /** The Target was told that an attempt began, and not yet how it went. */
  #underWay = false;
  #tried: Target[] = [];
  /** What the Upstream's breaker said, until it is told how the request went. */
  #admission: Admission | undefined;
  #total: TotalTimeout | undefined;
  #attemptStarted = 0;
  #forwardingStarted = 0;
  /** Pieces of the body that came before they could be sent, or that are kept for another attempt. */
  #pieces: Buffer[] = [];
  #collectedBytes = 0;
  #bodyComplete = true;
  #hasBody = false;
  /** All of the body is in #pieces. */
  #replayable = true;
  /** Body bytes go straight to the Upstream. */
  #streaming = false;
  #dropping = false;
  #onCollected: (() => void) | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.#connection = this.#upstream = this.#target = this.#onCollected = undefined;
    if (this.#tried.length > 0) this.#tried = [];
    if (this.#pieces.length > 0) this.#pieces = [];
    this.#collectedBytes = this.#attemptStarted = this.#forwardingStarted = 0;
    this.#bodyComplete = this.#replayable = true;
    this.#hasBody = this.#streaming = this.#dropping = this.#underWay = false;
    this.#admission = this.#first = undefined;
  }

  // The body as it comes from the client.

  // The first piece is only valid while the Exchange decides; most are sent before it is over.
  #first: Uint8Array | undefined;
  #firstStart = 0;
  #firstEnd = 0;

  beginBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    this.#bodyComplete = complete;
    this.#hasBody = !complete || end > start;
    this.#first = end > start ? bytes : undefined;
    this.#firstStart = start;
    this.#firstEnd = end;
  }

  /** Called when deciding is over for now: what was not sent must be kept. */
  keepFirst(): void {
    if (this.#first === undefined) {
      if (!this.#bodyComplete && !this.#streaming && this.#onCollected === undefined && !this.#dropping)
        this.#exchange.connection?.pauseBody();
      return;
    }
    const piece = this.#first;
    this.#first = undefined;
    if (this.#dropping) return;
    if (!this.#streaming) {
      this.#keep(piece, this.#firstStart, this.#firstEnd);
      if (!this.#bodyComplete && this.#onCollected === undefined) this.#exchange.connection?.pauseBody();
    }
  }

  onBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    this.#bodyComplete = complete;
    if (this.#dropping) return;
    const connection = this.#connection;
    if (this.#streaming && connection !== undefined) {
      this.#replayable = false;
      if (connection.relay(bytes, start, end, complete) === CONGESTED) this.#exchange.connection?.pauseBody();
      return;
    }
    this.#keep(bytes, start, end);
    if (this.#onCollected === undefined) {
      if (!complete) this.#exchange.connection?.pauseBody();
    } else if (this.#collectedBytes > this.#exchange.host.maxCollectedBytes) {
      this.#onCollected = undefined;
      this.#exchange.reply({ status: 413, headers: [], body: undefined, reason: 'body_too_large' });
    } else if (complete) this.#finishCollecting();
  }

  /** Gives what has come of the body to a copy; whether that is all of it. */
  copyBody(copy: BodyCopy): boolean {
    for (const piece of this.#pieces) copy.add(piece, 0, piece.length);
    if (this.#first !== undefined) copy.add(this.#first, this.#firstStart, this.#firstEnd);
    return this.#bodyComplete;
  }

  /** Takes the whole body into memory before going on. */
  collect(then: () => void): void {
    if (!this.#hasBody) return then();
    this.#onCollected = then;
    if (this.#first !== undefined) {
      this.#keep(this.#first, this.#firstStart, this.#firstEnd);
      this.#first = undefined;
    }
    if (this.#bodyComplete) return this.#finishCollecting();
    this.#sendContinue();
    this.#exchange.connection?.resumeBody();
  }

  /** The rest of the body interests nobody. */
  dropBody(): void {
    this.#dropping = true;
    this.#pieces = [];
    this.#first = undefined;
    this.#onCollected = undefined;
    if (!this.#bodyComplete) this.#exchange.connection?.resumeBody();
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    this.#collectedBytes += end - start;
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  #finishCollecting(): void {
    const then = this.#onCollected;
    this.#onCollected = undefined;
    const { requestHead, request } = this.#exchange;
    const whole = Buffer.concat(this.#pieces);
    request.collected = requestHead.chunked ? dechunk(whole) : whole;
    then?.();
  }

  // Attempts.

  /** It was to be sent to a Target. */
  get begun(): boolean {
    return this.#upstream !== undefined;
  }

  /** Sends the request to one Target after the other until one answers. */
  forward(upstream: Upstream): void {
    const exchange = this.#exchange;
    const refusal = exchange.requestHead.upgrade ? refusedHandshake(exchange) : undefined;
    if (refusal !== undefined) return exchange.reply(refusal);
    exchange.stage = Stage.Forwarding;
    this.#upstream = upstream;
    this.#forwardingStarted = exchange.started;
    upstream.retryBudget.requests++;
    if (upstream.breaker !== undefined) {
      const admission = upstream.breaker.admit();
      if (admission > 0) return exchange.reply(upstream.breaker.refusal(admission));
      this.#admission = admission;
    }
    const { total } = exchange.route?.timeouts ?? upstream.timeouts;
    if (total !== undefined) total.arm((this.#total ??= new TotalTimeout(() => this.#onTotalTimeout())));
    const target = upstream.pick(exchange, this.#tried);
    if (target !== undefined) this.#attempt(target);
    else {
      this.#conclude(0);
      exchange.reply(upstream.noTarget);
    }
  }

  #attempt(target: Target): void {
    const exchange = this.#exchange;
    this.#target = target;
    exchange.targetKey = target.key;
    exchange.attempts++;
    this.#attemptStarted = exchange.attempts === 1 ? exchange.started : now();
    target.started();
    this.#underWay = true;
    const idle = target.pool.take(exchange);
    if (idle !== undefined) this.#send(idle);
    else this.#open(target);
  }

  #open(target: Target): void {
    const exchange = this.#exchange;
    const address = target.address();
    if (address === undefined) {
      target.waitForAddress(exchange, (found) => {
        if (this.#target !== target || exchange.stage !== Stage.Forwarding) return;
        if (found) return this.#open(target);
        this.#endAttempt('connect_failed');
        if (!this.#tryNext()) this.#giveUp('unresolved', 503);
      });
      return;
    }
    const timeouts = exchange.route?.timeouts ?? this.#upstream!.timeouts;
    const preface = target.proxyProtocol && announcement(target.proxyProtocol, exchange);
    this.#connection = target.pool.open(address, exchange, timeouts.connect, preface);
  }

  onReady(connection: UpstreamConnection): void {
    this.#send(connection);
  }

  #send(connection: UpstreamConnection): void {
    const exchange = this.#exchange;
    const upstream = this.#upstream!;
    this.#connection = connection;
    const timeouts = exchange.route?.timeouts ?? upstream.timeouts;
    connection.readDeadlines = timeouts.read;
    connection.sendDeadlines = timeouts.send;
    output.begin();
    try {
      writeRequestHead(exchange, upstream, this.#target!);
    } catch (error) {
      this.cancel();
      exchange.fail(error);
      return;
    }
    if (this.#first !== undefined) {
      output.put(this.#first, this.#firstStart, this.#firstEnd);
      const size = this.#firstEnd - this.#firstStart;
      this.#replayable = this.#bodyComplete && size <= MAX_REPLAY_BYTES && this.#idempotent();
      // Kept only where it could be of use: a second copy of every POST would be waste.
      if (this.#replayable) this.#keep(this.#first, this.#firstStart, this.#firstEnd);
      this.#first = undefined;
    } else if (this.#pieces.length > 0) {
      const { collected } = exchange.request;
      if (collected !== undefined) output.putAll(collected);
      else for (const piece of this.#pieces) output.putAll(piece);
      this.#replayable = this.#bodyComplete;
      if (!this.#replayable) this.#pieces = [];
    }
    this.#streaming = true;
    if (!this.#bodyComplete) this.#sendContinueAfter(connection);
    else if (connection.send(true) === CONGESTED) this.#exchange.connection?.pauseBody();
  }

  #sendContinueAfter(connection: UpstreamConnection): void {
    const congested = connection.send(false) === CONGESTED;
    this.#sendContinue();
    if (congested) this.#exchange.connection?.pauseBody();
    else this.#exchange.connection?.resumeBody();
  }

  /** Tells a client that waits for it that its body is wanted (RFC 9110 10.1.1). */
  #sendContinue(): void {
    const { requestHead, connection, bytesIn } = this.#exchange;
    if (!requestHead.expectContinue || requestHead.minorVersion === 0 || bytesIn > requestHead.length) return;
    output.begin();
    output.putAll(CONTINUE);
    connection?.send();
    requestHead.expectContinue = false;
  }

  onAnswered(): void {
    const exchange = this.#exchange;
    const at = now();
    exchange.upstreamMs = at - this.#forwardingStarted;
    const { status } = exchange.responseHead;
    this.#settle(status >= 500, at);
    this.#target!.answered(status);
    if (status >= 500) this.#payForRetry();
    this.#conclude(status);
  }

  /** Tells the breaker how the request went, 0 for no answer, and lifts the timeout in total. */
  #conclude(status: number): void {
    if (this.#total !== undefined) disarm(this.#total);
    if (this.#admission === undefined) return;
    const admission = this.#admission;
    this.#admission = undefined;
    this.#upstream!.breaker?.report(admission, status);
  }

  #onTotalTimeout(): void {
    const target = this.#target;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#streaming = false;
    connection?.destroy();
    this.#settle(true);
    target?.failedBy('read_timeout');
    this.#payForRetry();
    this.#giveUp('total_timeout', 504);
  }

  /** Tells the Target how the attempt went. */
  #settle(failed: boolean, at = now()): void {
    if (!this.#underWay) return;
    this.#underWay = false;
    this.#target!.finished(at - this.#attemptStarted, failed);
  }

  onReleased(): void {
    this.#connection = undefined;
    this.#streaming = false;
  }

  resumeResponse(): void {
    this.#connection?.resume();
  }

  pauseResponse(): void {
    this.#connection?.pause();
  }

  onFailure(connection: UpstreamConnection, failure: UpstreamFailure): void {
    const exchange = this.#exchange;
    this.#connection = undefined;
    this.#streaming = false;
    const unsent = failure === 'connect_failed' || failure === 'connect_timeout' || failure === 'tls_failed';
    const mayRepeat = unsent || (!connection.answered && this.#replayable && this.#idempotent());
    exchange.responseHead.reset();
    const stale = connection.reused && (failure === 'upstream_closed' || failure === 'upstream_reset');
    if (stale && mayRepeat) {
      // The Target closed an idle connection as we used it: not its failure, and not an attempt.
      this.#open(this.#target!);
      return;
    }
    this.#endAttempt(failure);
    if (mayRepeat && this.#tryNext()) return;
    const { tlsProblem } = connection;
    this.#giveUp(tlsProblem === undefined ? failure : `tls_failed: ${tlsProblem}`, STATUS[failure]);
  }

  #endAttempt(failure: UpstreamFailure): void {
    this.#settle(true);
    this.#target!.failedBy(failure);
    // A Target that refuses was not burdened.
    if (failure !== 'connect_failed') this.#payForRetry();
    this.#tried.push(this.#target!);
  }

  /** What fails again after another attempt has failed is at the retry budget's expense. */
  #payForRetry(): void {
    if (this.#tried.length > 0) this.#upstream!.retryBudget.charge();
  }

  /** Asks another Target, if there may be another attempt and there is one. */
  #tryNext(): boolean {
    const upstream = this.#upstream!;
    if (this.#tried.length > upstream.retriesFor() || !this.#inRetryTime()) return false;
    const next = upstream.pick(this.#exchange, this.#tried);
    if (next === undefined || !upstream.retryBudget.allows) return false;
    this.#attempt(next);
    return true;
  }

  #giveUp(reason: string, status: number): void {
    const exchange = this.#exchange;
    this.#conclude(0);
    exchange.upstreamMs = now() - this.#forwardingStarted;
    exchange.upstreamStatus = status === 503 ? 0 : status;
    exchange.reply({ status, headers: [], body: undefined, reason });
  }

  #inRetryTime(): boolean {
    const { retryTimeout } = this.#upstream!;
    return retryTimeout === 0 || now() - this.#forwardingStarted < retryTimeout;
  }

  #idempotent(): boolean {
    return IDEMPOTENT.has(this.#exchange.upstream.method);
  }

  /** The Exchange ends: whatever is under way to a Target is in vain. */
  cancel(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#streaming = false;
    connection?.destroy();
    this.#settle(false);
    if (this.#total !== undefined) disarm(this.#total);
    if (this.#admission === undefined) return;
    this.#upstream!.breaker?.withdraw(this.#admission);
    this.#admission = undefined;
  }
}

const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n');

/** The data of a chunked body that is known to be well-formed and complete. */
function dechunk(body: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.latin1Slice(at, lineEnd), 16);
    if (size === 0) return Buffer.concat(pieces);
    pieces.push(body.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 4 + size;
  }
}
