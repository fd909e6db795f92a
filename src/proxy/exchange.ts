// One request and its response, from complete head to record. Objects are kept and used again:
// a bare request makes no object of its own.

import { isIP } from 'node:net';
import type { ClientConnection } from '../http/client-connection.ts';
import { Head } from '../http/head.ts';
import { type ProtocolError, Refusal } from '../http/protocol-error.ts';
import type { ServerExchange } from '../http/server-exchange.ts';
import type { UpstreamConnection, UpstreamExchange, UpstreamFailure } from '../http/upstream-connection.ts';
import { beginEvent } from '../lib/event-clock.ts';
import type { Consumer, CredentialMatch } from '../plugin/consumer.ts';
import type {
  AccessExchange,
  CacheStatus,
  LogExchange,
  ResponseBodyExchange,
  ResponseExchange,
  RewriteExchange,
  Slot,
  UpstreamHandle,
} from '../plugin/exchange.ts';
import { dropReply, type Reply } from '../plugin/reply.ts';
import type { TlsSession } from '../tls/tls-session.ts';
import { BodyCopy } from './body-copy.ts';
import { BodyWatch } from './body-watch.ts';
import { now, wallClock } from './clock.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { ExchangeHost } from './exchange-host.ts';
import { Forwarding } from './forwarding.ts';
import type { SecondHalf } from './pipeline.ts';
import { writeReply } from './reply-writer.ts';
import { newRequestId } from './request-id.ts';
import { Responding } from './responding.ts';
import type { Upstream } from './upstream.ts';
import { readVariable } from './variables.ts';
import { ExchangeRequest, ExchangeResponse, UpstreamRequest } from './views.ts';

/** Where an Exchange stands. */
export const Stage = { Fresh: 0, Deciding: 1, Forwarding: 2, Responding: 3, Ended: 4 } as const;

export class Exchange
  implements
    ServerExchange,
    UpstreamExchange,
    RewriteExchange,
    AccessExchange,
    Omit<ResponseExchange, 'response'>,
    Omit<ResponseBodyExchange, 'response'>,
    Omit<LogExchange, 'response'>
{
  readonly host: ExchangeHost;
  readonly requestHead = new Head();
  readonly responseHead = new Head();
  readonly request: ExchangeRequest;
  readonly upstream: UpstreamRequest;
  readonly response: ExchangeResponse;
  readonly forwarding: Forwarding;
  readonly responding: Responding;

  /** The client's connection; null when the Exchange is only evaluated. */
  connection: ClientConnection | null = null;
  stage: number = Stage.Fresh;
  route: CompiledRoute | null = null;
  second: SecondHalf | null = null;
  /** The response handlers of the Bindings stay out of it: the request was refused, or one of them failed. */
  bare = false;
  consumer: Consumer | undefined;
  credentialId: string | undefined;
  chosenUpstream: Upstream | undefined;
  revision = 0;
  localPort = 0;
  /** What the client's handshake found out; null without TLS. */
  tls: TlsSession | null = null;
  #id = '';
  #started = 0;
  // Two short lists instead of a Map: a Map that is cleared for every request makes each of its dead
  // tables keep the next one alive, and the garbage collector pays for all of them.
  readonly #slots: Slot<unknown>[] = [];
  readonly #slotValues: unknown[] = [];
  #slotCount = 0;
  ownVariables: Map<string, string> | undefined;

  // What the record will say.
  reason = '';
  upstreamStatus = 0;
  upstreamMs = -1;
  attempts = 0;
  cacheStatus: CacheStatus | '' = '';
  targetKey = '';
  bytesIn = 0;
  bytesOut = 0;

  /** What Plugins want of the request's body; null where nobody does. */
  #watch: BodyWatch | null = null;
  /** Handlers' promises that are out: the object can't be used for another request before they settle. */
  #waiting = 0;
  #over = false;

  constructor(host: ExchangeHost) {
    this.host = host;
    this.request = new ExchangeRequest(this);
    this.upstream = new UpstreamRequest(this.request);
    this.response = new ExchangeResponse(this);
    this.forwarding = new Forwarding(this);
    this.responding = new Responding(this);
  }

  /** Makes it ready for the next request of a connection. */
  begin(connection: ClientConnection | null): void {
    this.connection = connection;
    this.stage = Stage.Fresh;
    this.requestHead.reset();
    this.responseHead.reset();
    this.route = this.second = null;
    this.consumer = this.credentialId = this.chosenUpstream = undefined;
    this.#id = this.reason = this.targetKey = '';
    this.upstreamStatus = this.attempts = this.bytesIn = this.bytesOut = 0;
    this.revision = 0;
    this.bare = false;
    this.cacheStatus = '';
    this.upstreamMs = -1;
    this.#watch = null;
    this.#started = 0;
    this.#over = false;
  }

  // What Plugins see of it, besides the three views.

  get id(): string {
    if (this.#id === '') this.#id = newRequestId();
    return this.#id;
  }

  get routeId(): string {
    return this.route?.id ?? '';
  }

  get routeName(): string {
    return this.route?.name ?? '';
  }

  get serviceId(): string | undefined {
    return this.route?.serviceId;
  }

  get serviceName(): string {
    return this.route?.serviceName ?? '';
  }

  get startedAt(): number {
    return wallClock(this.#started);
  }

  /** Monotonic milliseconds at which the head was complete. */
  get started(): number {
    return this.#started;
  }

  get durationMs(): number {
    return performance.now() - this.#started;
  }

  get matchedUri(): string | undefined {
    return this.route?.matchedUri(this.request.path);
  }

  uriParameter(name: string): string | undefined {
    return this.route?.uriParameter(this.request.path, name);
  }

  get<T>(slot: Slot<T>): T | undefined {
    for (let i = 0; i < this.#slotCount; i++) if (this.#slots[i] === slot) return this.#slotValues[i] as T;
    return undefined;
  }

  set<T>(slot: Slot<T>, value: T): void {
    let at = 0;
    while (at < this.#slotCount && this.#slots[at] !== slot) at++;
    if (at === this.#slotCount) this.#slotCount++;
    this.#slots[at] = slot;
    this.#slotValues[at] = value;
  }

  variable(name: string): string | undefined {
    return readVariable(this, name);
  }

  setVariable(name: string, value: string | undefined): void {
    this.ownVariables ??= new Map();
    if (value === undefined) this.ownVariables.delete(name);
    else this.ownVariables.set(name, value);
  }

  authenticate(match: CredentialMatch): void {
    this.consumer = match.consumer;
    this.credentialId = match.credentialId;
  }

  setClientAddress(address: string, port?: number): void {
    // It goes to the Upstream and into the log: never anything but an address.
    if (isIP(address) === 0) return;
    this.request.clientAddress = address;
    if (port !== undefined) this.request.clientPort = port;
  }

  useUpstream(upstream: UpstreamHandle): void {
    this.chosenUpstream = upstream as Upstream;
  }

  get upstreamAsked(): boolean {
    return this.forwarding.begun;
  }

  get ended(): boolean {
    return this.stage === Stage.Ended;
  }

  get destination(): Upstream | undefined {
    return this.chosenUpstream ?? this.route?.upstream;
  }

  limitBody(bytes: number): boolean {
    this.#watch ??= new BodyWatch();
    this.#watch.limit(bytes);
    return this.requestHead.contentLength <= bytes && this.#bodyBytes <= bytes;
  }

  get #bodyBytes(): number {
    const { connection, requestHead } = this;
    return requestHead.chunked && connection !== null
      ? connection.chunkedBytes
      : this.bytesIn - requestHead.length;
  }

  copyBody(maximum: number): Promise<Uint8Array | undefined> {
    const { collected } = this.request;
    const copy = new BodyCopy(maximum, this.requestHead.chunked && collected === undefined);
    if (collected !== undefined) {
      copy.onChunkData(collected, 0, collected.length);
      copy.complete();
    } else if (this.forwarding.copyBody(copy)) copy.complete();
    else {
      this.#watch ??= new BodyWatch();
      this.#watch.add(copy);
    }
    return copy.whole;
  }

  // The client's side.

  onRequest(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    this.#start();
    this.bytesIn = this.requestHead.length + end - start;
    this.forwarding.beginBody(bytes, start, end, complete);
    try {
      this.host.decide(this);
    } catch (error) {
      this.fail(error);
    }
  }

  onRequestBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    this.bytesIn += end - start;
    if (this.#watch?.onBody(bytes, start, end, complete, this.#bodyBytes) === false) {
      if (this.connection !== null) this.connection.keepAlive = false;
      return this.onRefused(Refusal.BodyTooLarge);
    }
    try {
      this.forwarding.onBody(bytes, start, end, complete);
    } catch (error) {
      this.fail(error);
    }
  }

  onRefused(refusal: ProtocolError): void {
    this.#startUnfinished();
    this.reason = refusal.reason;
    this.forwarding.cancel();
    if (this.responding.begun) {
      this.#abort();
      return;
    }
    this.bare = true;
    this.reply({ status: refusal.status, headers: [], body: undefined, reason: refusal.reason });
  }

  onClientDrain(): void {
    this.responding.onClientDrain();
  }

  onClientGone(reason: string): void {
    this.#startUnfinished();
    this.reason = reason;
    this.connection = null;
    this.forwarding.cancel();
    if (!this.responding.begun) this.response.begin(499, 'gateway');
    this.end();
  }

  get mayProbe(): boolean {
    return !this.responding.begun && this.stage !== Stage.Ended;
  }

  // The Upstream's side.

  /** The Upstream was asked with HEAD; the client may have asked otherwise. */
  get requestIsHead(): boolean {
    if (this.upstream.methodChanged) return this.upstream.method === 'HEAD';
    return this.clientAskedHead;
  }

  /** The client expects no body, whatever the head says. */
  get clientAskedHead(): boolean {
    const { bytes, methodStart: start, methodEnd } = this.requestHead;
    return (
      methodEnd - start === 4 &&
      bytes[start] === 72 &&
      bytes[start + 1] === 69 &&
      bytes[start + 2] === 65 &&
      bytes[start + 3] === 68
    );
  }

  onUpstreamReady(connection: UpstreamConnection): void {
    try {
      this.forwarding.onReady(connection);
    } catch (error) {
      this.fail(error);
    }
  }

  onInterim(_connection: UpstreamConnection): void {
    this.responding.onInterim();
  }

  onSwitched(connection: UpstreamConnection, bytes: Uint8Array, start: number, end: number): boolean {
    return this.responding.onSwitched(connection, bytes, start, end);
  }

  onResponse(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    this.forwarding.onAnswered();
    this.upstreamStatus = this.responseHead.status;
    this.stage = Stage.Responding;
    try {
      this.responding.onResponse(bytes, start, end, complete);
    } catch (error) {
      this.forwarding.cancel();
      this.fail(error);
    }
  }

  onResponseBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void {
    if (this.stage !== Stage.Responding) return;
    try {
      this.responding.onBody(bytes, start, end, complete);
    } catch (error) {
      this.forwarding.cancel();
      this.fail(error);
    }
  }

  onResponseEnd(): void {
    this.forwarding.onReleased();
    if (this.stage !== Stage.Responding) return;
    try {
      this.responding.onUpstreamDone();
    } catch (error) {
      this.fail(error);
    }
  }

  onUpstreamFailure(connection: UpstreamConnection, failure: UpstreamFailure): void {
    if (this.stage === Stage.Ended) return;
    if (this.responding.begun) {
      this.reason = failure;
      this.#abort();
      return;
    }
    try {
      this.forwarding.onFailure(connection, failure);
    } catch (error) {
      this.fail(error);
    }
  }

  onUpstreamDrain(): void {
    this.connection?.resumeBody();
  }

  // Ends.

  /** Marks that a handler's promise decides how it goes on. */
  async wait<T>(pending: Promise<T>, then: (value: T) => void): Promise<void> {
    this.#waiting++;
    try {
      const value = await pending;
      beginEvent();
      then(value);
    } catch (error) {
      if (this.stage !== Stage.Ended) this.fail(error);
    } finally {
      if (--this.#waiting === 0 && this.#over) this.host.release(this);
    }
  }

  /** Answers instead of the Upstream. */
  reply(reply: Reply): void {
    if (this.stage === Stage.Ended) return dropReply(reply);
    this.stage = Stage.Responding;
    if (this.reason === '' && reply.reason !== undefined) this.reason = reply.reason;
    this.forwarding.dropBody();
    try {
      writeReply(this, reply);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Something of ours or of a Plugin's broke. */
  fail(error: unknown): void {
    this.host.onFailure(this, error);
    this.reason = 'plugin_failed';
    if (this.stage === Stage.Ended) return;
    if (this.responding.begun) {
      this.#abort();
      return;
    }
    // The handlers that failed must not run again for the answer about it.
    this.bare = true;
    this.response.reset();
    this.reply({ status: 500, headers: [], body: undefined, reason: 'plugin_failed' });
  }

  /** The response can't be completed: nobody may take what was sent for complete. */
  #abort(): void {
    const { connection } = this;
    this.connection = null;
    this.forwarding.cancel();
    this.end();
    connection?.abort();
  }

  /** The last byte of the response is on its way. */
  finish(): void {
    const { connection } = this;
    this.connection = null;
    this.forwarding.cancel();
    this.end();
    connection?.finish();
  }

  /** Writes the record and gives the object back. */
  end(): void {
    if (this.stage === Stage.Ended) return;
    this.stage = Stage.Ended;
    this.#watch?.end();
    const log = this.second?.log;
    if (log) {
      for (const step of log) {
        try {
          step.run(this);
        } catch (error) {
          this.host.onFailure(this, error);
        }
      }
    }
    this.host.record(this);
    this.#over = true;
    if (this.#waiting === 0) this.host.release(this);
  }

  /** Lets go of the bodies and values that it would keep alive until it is used again. */
  forget(): void {
    this.request.reset();
    this.upstream.reset();
    this.response.reset();
    this.forwarding.reset();
    this.responding.reset();
    this.ownVariables = undefined;
    this.tls = null;
    while (this.#slotCount > 0) this.#slotValues[--this.#slotCount] = undefined;
  }

  #start(): void {
    this.#started = now();
    this.host.admit(this);
  }

  /** For a request whose head never was complete: it has an end, and so a record, all the same. */
  #startUnfinished(): void {
    if (this.#started !== 0) return;
    this.#start();
    this.bytesIn = this.requestHead.filled;
  }
}
