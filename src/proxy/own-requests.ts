// Requests of the gateway's own. They go through the same engine as a client's, from a connection in
// memory and past the Pipeline, so that balancing, retries, pools and timeouts hold for them, too.

import { BodyFraming } from '../http/body-framing.ts';
import { ChunkedScanner } from '../http/chunked.ts';
import { ClientConnection } from '../http/client-connection.ts';
import { COMPLETE, MORE } from '../http/field-parser.ts';
import { Head } from '../http/head.ts';
import { output } from '../http/output.ts';
import { parseResponse } from '../http/response-parser.ts';
import type { ClientLimits, ConnectionHost } from '../http/server-exchange.ts';
import { type Transport, type TransportOwner, WRITTEN, type WriteResult } from '../http/transport.ts';
import { deadlinesOf } from '../lib/deadlines.ts';
import type { OwnRequest, OwnResponse } from '../plugin/own-request.ts';
import { Exchange } from './exchange.ts';
import type { ExchangeHost } from './exchange-host.ts';
import { forwardedLines } from './forwarded.ts';
import type { Upstream } from './upstream.ts';

const TIMEOUT_MS = 60_000;
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const NEVER = deadlinesOf(0);
/** What we send ourselves is bounded by what we hold. */
const LIMITS: ClientLimits = {
  maxTarget: 64 * 1024,
  maxFields: 128,
  maxHeadBytes: 256 * 1024,
  maxBodyBytes: 0,
  maxRequests: 1,
  head: NEVER,
  body: NEVER,
  idle: NEVER,
  send: NEVER,
};
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FRAMING = new Set(['connection', 'content-length', 'transfer-encoding', 'keep-alive', 'te', 'upgrade']);

/** Sends a request; rejects with an Error that says why there is no answer of the Upstream's. */
export function sendOwnRequest(request: OwnRequest): Promise<OwnResponse> {
  return new Promise((resolve, reject) => {
    const own = new OwnConversation(request, resolve, reject);
    // The caller may be amid another Exchange's callbacks.
    queueMicrotask(() => own.start());
  });
}

class OwnConversation implements ConnectionHost, ExchangeHost, Transport {
  readonly limits = LIMITS;
  readonly draining = false;
  readonly closing = false;
  readonly geo = undefined;
  readonly http2 = false;
  readonly maxCollectedBytes: number;
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 0;
  readonly localPort = 0;
  readonly localAddress = '127.0.0.1';
  readonly tls = null;
  readonly unsent = 0;
  readonly #request: OwnRequest;
  readonly #forwarded: Buffer | undefined;
  readonly #resolve: (response: OwnResponse) => void;
  readonly #reject: (error: Error) => void;
  readonly #head = new Head();
  readonly #body = new BodyFraming();
  readonly #chunks = new ChunkedScanner();
  readonly #pieces: Buffer[] = [];
  #bytes = 0;
  #headSeen = false;
  #settled = false;
  #owner: TransportOwner | undefined;
  #exchange: Exchange | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(request: OwnRequest, resolve: (response: OwnResponse) => void, reject: (error: Error) => void) {
    this.#request = request;
    // Now, as its Exchange may be another's when the request goes.
    this.#forwarded = request.onBehalfOf && forwardedLines(request.onBehalfOf as Exchange);
    this.#resolve = resolve;
    this.#reject = reject;
    this.maxCollectedBytes = request.maxBodyBytes ?? MAX_BODY_BYTES;
    this.#chunks.sink = this;
  }

  start(): void {
    let bytes: Buffer;
    try {
      bytes = requestBytes(this.#request);
    } catch (error) {
      this.#reject(error as Error);
      return;
    }
    this.#timer = setTimeout(() => this.#fail('timeout'), this.#request.timeoutMs ?? TIMEOUT_MS);
    this.#timer.unref();
    const connection = new ClientConnection(this, (owner) => {
      this.#owner = owner;
      return this;
    });
    connection.onData(bytes, 0, bytes.length);
  }

  // For the connection and its Exchange.

  acquire(connection: ClientConnection): Exchange {
    this.#exchange = new Exchange(this);
    this.#exchange.begin(connection);
    return this.#exchange;
  }

  onConnectionClosed(): void {
    this.#fail('the connection was closed');
  }

  admit(): void {}

  decide(exchange: Exchange): void {
    exchange.forwarding.forward(this.#request.upstream as Upstream);
    exchange.forwarding.keepFirst();
  }

  writeForwarded(): void {
    if (this.#forwarded !== undefined) output.putAll(this.#forwarded);
  }

  portText(port: number): string {
    return String(port);
  }

  onFailure(_exchange: Exchange, error: unknown): void {
    this.#fail(error instanceof Error ? error.message : String(error));
  }

  record({ reason }: Exchange): void {
    if (reason === '' && this.#body.untilClose) this.#finish();
    else this.#fail(reason);
  }

  release(): void {}

  // As the transport.

  write(bytes: Buffer, start: number, end: number): WriteResult {
    if (!this.#settled) this.#onData(bytes, start, end);
    return WRITTEN;
  }

  pause(): void {}

  resume(): void {}

  end(): void {
    this.#close();
  }

  destroy(): void {
    this.#close();
  }

  reset(): void {
    this.#close();
  }

  // The answer.

  #onData(bytes: Uint8Array, start: number, end: number): void {
    let at = start;
    while (!this.#headSeen) {
      const head = this.#head;
      const before = head.filled;
      const appended = at;
      at += head.append(bytes, at, end);
      const result = parseResponse(head);
      if (result === COMPLETE) {
        at = appended + head.length - before;
        if (head.status < 200) head.reset();
        else this.#onHead(head);
        if (at === end && !this.#headSeen) return;
      } else if (result !== MORE || !head.grow(LIMITS.maxHeadBytes)) return this.#fail('bad_response');
      else if (at === end) return;
    }
    if (this.#settled) return;
    if (this.#head.chunked) {
      if (this.#chunks.scan(bytes, at, end) >= 0) this.#finish();
      return;
    }
    const bodyEnd = this.#body.follow(bytes, at, end);
    this.onChunkData(bytes, at, bodyEnd);
    if (this.#body.complete) this.#finish();
  }

  #onHead(head: Head): void {
    this.#headSeen = true;
    const exchange = this.#exchange!;
    // An answer of our own means that there was none.
    if (exchange.response.source === 'gateway') return this.#fail(exchange.reason);
    const bodiless = this.#request.method === 'HEAD' || head.status === 204 || head.status === 304;
    if (bodiless) this.#body.beginLength(0);
    else if (head.contentLength >= 0) this.#body.beginLength(head.contentLength);
    else this.#body.beginUntilClose();
  }

  onChunkData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#settled || end <= start || this.#request.discardBody === true) return;
    this.#bytes += end - start;
    if (this.#bytes > this.maxCollectedBytes) return this.#fail('the body is too large');
    this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  #finish(): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    const head = this.#head;
    const headers: [string, string][] = [];
    for (let i = 0; i < head.count; i++) {
      const name = head.bytes.latin1Slice(head.nameStart[i], head.nameEnd[i]);
      if (FRAMING.has(name.toLowerCase())) continue;
      headers.push([name, head.bytes.latin1Slice(head.valueStart[i], head.valueEnd[i])]);
    }
    this.#resolve({ status: head.status, headers, body: Buffer.concat(this.#pieces) });
    // Only after the Exchange has written the record of its end.
    queueMicrotask(() => this.#close());
  }

  #fail(reason: string): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#reject(new Error(reason));
    queueMicrotask(() => this.#close());
  }

  #close(): void {
    const owner = this.#owner;
    this.#owner = undefined;
    owner?.onClose(undefined);
  }
}

/** The request in bytes. Throws a TypeError for what could be taken for another request. */
function requestBytes({ method, target, headers, body }: OwnRequest): Buffer {
  if (!/^[A-Z_-]{1,32}$/.test(method)) throw new TypeError(`not a method: ${JSON.stringify(method)}`);
  if (!/^\/[!-~]*$/.test(target)) throw new TypeError(`not a target: ${JSON.stringify(target)}`);
  const lines = [`${method} ${target} HTTP/1.1`];
  let host = false;
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || /[\x00-\x08\x0a-\x1f\x7f\u0100-\uffff]/.test(value)) {
      throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
    }
    if (FRAMING.has(name.toLowerCase())) continue;
    if (name.toLowerCase() === 'host') host = true;
    lines.push(`${name}: ${value}`);
  }
  if (!host) lines.push('Host: localhost');
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return body === undefined ? head : Buffer.concat([head, body]);
}
