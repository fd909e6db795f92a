import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions } from 'node:http2';
import type net from 'node:net';
import type tls from 'node:tls';
import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import { beginEvent, eventTime } from '../lib/event-clock.ts';
import { ErrorCode } from './error-code.ts';
import type { Fields } from './head-text.ts';
import type { SessionPool } from './session-pool.ts';
import type { UpstreamStream } from './upstream-stream.ts';

/** Requests at once on one session, if the Target allows as many. */
const MAX_STREAMS = 100;
const STREAM_WINDOW = 64 * 1024;
/** Room for all streams to be full: one whose client doesn't read must not stop the others. */
const SESSION_WINDOW = MAX_STREAMS * STREAM_WINDOW;
/** A session silent for so long is asked whether it is still there when it is used again. */
const SILENT_MS = 10_000;
const PONG = deadlinesOf(5_000);

/** A field that came twice is the Target's to judge; missing in the types for clients. */
const LENIENT = { strictSingleValueFields: false };

/** A connection to a Target in HTTP/2, for many requests at once. */
export class UpstreamSession implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly pool: SessionPool;
  readonly address: string;
  readonly #socket: net.Socket;
  readonly #session: ClientHttp2Session;
  /** Streams on it, and those that wait until it is connected. */
  readonly #streams = new Set<UpstreamStream>();
  #requests = 0;
  #heardAt = 0;
  #pinging = false;
  #error: Error | undefined;
  ready = false;
  /** It takes no more requests. */
  #leaving = false;

  constructor(pool: SessionPool, address: string) {
    this.pool = pool;
    this.address = address;
    const { port, tlsOptions } = pool.target;
    const name = address.includes(':') ? `[${address}]` : address;
    const module = pool.target.http2();
    this.#socket =
      tlsOptions === undefined
        ? pool.connect(address, port)
        : pool.target.tls().connect({ ...tlsOptions, host: address, port, ALPNProtocols: ['h2'] });
    this.#socket.setNoDelay(true);
    this.#session = module.connect(`${this.scheme}://${name}:${port}`, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      maxHeaderListPairs: 128,
      maxSessionMemory: 32,
      ...LENIENT,
    });
    const session = this.#session;
    // Heard a moment later: by then it may have been given up.
    session.on('connect', () => {
      if (!session.destroyed) this.#onConnect();
    });
    session.on('goaway', () => this.#retire());
    session.on('error', (error) => {
      this.#error = error;
    });
    session.on('close', () => this.#onClose());
  }

  get scheme(): 'http' | 'https' {
    return this.pool.target.tlsOptions === undefined ? 'http' : 'https';
  }

  /** It can take a request. */
  get usable(): boolean {
    return !this.#leaving && !this.#session.closed && !this.#session.destroyed;
  }

  /** How many more requests it can take at once. */
  get room(): number {
    const theirs = this.ready ? this.#session.remoteSettings.maxConcurrentStreams : undefined;
    return Math.min(theirs ?? MAX_STREAMS, MAX_STREAMS) - this.#streams.size;
  }

  get idle(): boolean {
    return this.ready && this.#streams.size === 0;
  }

  /** Gives a stream its place, at once or when the connection is made. */
  join(stream: UpstreamStream): void {
    if (!this.#pinging) disarm(this);
    this.#streams.add(stream);
    stream.session = this;
    if (this.ready) stream.onSession();
  }

  request(fields: Fields, options: ClientSessionRequestOptions): ClientHttp2Stream {
    const { maxRequests } = this.pool.options;
    const stream = this.#session.request(fields, options);
    if (maxRequests > 0 && ++this.#requests >= maxRequests) this.#retire();
    else if (eventTime() - this.#heardAt > SILENT_MS) this.#ping();
    return stream;
  }

  /** Something came from the Target. */
  heard(): void {
    this.#heardAt = eventTime();
  }

  leave(stream: UpstreamStream): void {
    if (!this.#streams.delete(stream) || this.#streams.size > 0) return;
    if (!this.ready) this.destroy();
    else if (this.#leaving) this.#end();
    else if (this.usable && !this.#pinging) this.pool.onIdle(this);
  }

  /** Ends when the requests under way have. */
  close(): void {
    this.#retire();
  }

  destroy(): void {
    this.#leaving = true;
    this.#session.destroy();
  }

  /** Idle for long enough, or silent when asked. */
  onDeadline(): void {
    if (this.#pinging) this.#session.destroy(new Error('no answer to PING'), ErrorCode.Cancel);
    else this.close();
  }

  #onConnect(): void {
    beginEvent();
    const { alpnProtocol } = this.#socket as tls.TLSSocket;
    if (this.scheme === 'https' && alpnProtocol !== 'h2') {
      const error: NodeJS.ErrnoException = new Error('the Target does not speak HTTP/2 (ALPN)');
      error.code = 'ERR_TLS_ALPN';
      this.#session.destroy(error);
      return;
    }
    this.#session.setLocalWindowSize(SESSION_WINDOW);
    this.ready = true;
    this.heard();
    for (const stream of [...this.#streams]) stream.onSession();
    if (this.#streams.size === 0) this.pool.onIdle(this);
  }

  #ping(): void {
    if (this.#pinging || !this.usable) return;
    this.#pinging = this.#session.ping(() => {
      this.#pinging = false;
      disarm(this);
      this.heard();
      if (this.idle && this.usable) this.pool.onIdle(this);
    });
    if (this.#pinging) PONG.arm(this);
  }

  #retire(): void {
    this.#leaving = true;
    this.pool.onGone(this);
    // GOAWAY would overtake a request that is about to leave, and the Target refuse it.
    if (this.#streams.size === 0) this.#end();
  }

  #end(): void {
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
  }

  #onClose(): void {
    beginEvent();
    disarm(this);
    this.#leaving = true;
    this.pool.onGone(this);
    if (this.ready) return; // its streams are told one by one
    for (const stream of [...this.#streams]) {
      this.#streams.delete(stream);
      stream.onNoSession(this.#error);
    }
  }
}
