import type http2 from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type net from 'node:net';
import type { ClientConnection } from '../http/client-connection.ts';
import type { Accepted, ClientLimits, ConnectionHost, ServerExchange } from '../http/server-exchange.ts';
import { type Deadlines, disarm, type Waiting } from '../lib/deadlines.ts';
import { beginEvent } from '../lib/event-clock.ts';
import { type ClientAddress, ClientStream } from './client-stream.ts';
import { ErrorCode } from './error-code.ts';

/** Requests under way on one session (RFC 9113 5.1.2). */
const MAX_STREAMS = 100;
/** What one stream may send before we take it; and all of them, so that one that waits doesn't stop the others. */
const STREAM_WINDOW = 64 * 1024;
const SESSION_WINDOW = 1024 * 1024;
/** A stream id that no client reaches: GOAWAY with it announces the end without refusing what is on its way. */
const LAST_STREAM = 2 ** 31 - 1;

/** Whose sessions these are. */
export interface SessionHost extends ConnectionHost {
  onConnectionClosed(connection: Accepted): void;
  /** A connection turned out to be another one's. */
  onBecame(former: Accepted, connection: Accepted): void;
}

/** A client's HTTP/2 connection: its streams, its limits, its end. */
export class ClientSession implements ConnectionHost, Accepted, Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly http2 = true;
  readonly limits: ClientLimits;
  readonly #host: SessionHost;
  readonly #session: ServerHttp2Session;
  readonly #address: ClientAddress;
  #streams = 0;
  #requests = 0;
  #leaving = false;
  /** The client's SETTINGS came: it speaks HTTP/2. */
  #begun = false;

  constructor(host: SessionHost, http2Module: typeof http2, socket: net.Socket, address: ClientAddress) {
    this.#host = host;
    this.#address = address;
    // A stream is one request's connection.
    this.limits = { ...host.limits, maxRequests: 1 };
    const { maxHeadBytes, maxFields } = host.limits;
    socket.allowHalfOpen = false;
    this.#session = http2Module.performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: MAX_STREAMS,
        initialWindowSize: STREAM_WINDOW,
        // Up to twice the limit the engine sees the head and says why it doesn't take it.
        maxHeaderListSize: Math.max(65_535, maxHeadBytes * 2),
      },
      maxHeaderListPairs: maxFields * 2 + 64,
      maxSessionInvalidFrames: 100,
      strictSingleValueFields: false,
    });
    const session = this.#session;
    session.setLocalWindowSize(SESSION_WINDOW);
    session.on('stream', (stream, _fields, flags, raw?: readonly string[]) =>
      this.#onStream(stream, flags, raw ?? []),
    );
    session.on('remoteSettings', () => {
      this.#begun = true;
      if (this.#streams === 0) this.limits.idle.arm(this);
    });
    session.on('error', () => {}); // 'close' follows
    session.on('close', () => {
      disarm(this);
      host.onConnectionClosed(this);
    });
    this.limits.head.arm(this);
  }

  get remoteAddress(): string {
    return this.#address.remoteAddress;
  }

  get draining(): boolean {
    return this.#host.draining;
  }

  get closing(): boolean {
    return this.#host.closing;
  }

  #onStream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    beginEvent();
    if (this.#streams++ === 0) disarm(this);
    if (++this.#requests >= this.#host.limits.maxRequests) this.drain();
    new ClientStream(stream, raw, flags, this, this.#address);
  }

  acquire(connection: ClientConnection): ServerExchange {
    return this.#host.acquire(connection);
  }

  onConnectionClosed(): void {
    if (--this.#streams > 0) return;
    // Who was told to leave has as long as a head may take; a client that doesn't answer is closed.
    (this.#leaving ? this.limits.head : this.limits.idle).arm(this);
  }

  /** Nothing has come for the time that an idle connection is kept, or no answer to our good-bye. */
  onDeadline(): void {
    // Who hasn't begun, or was told already, doesn't listen.
    if (this.#streams === 0 && (this.#leaving || !this.#begun)) return this.destroy();
    this.#leaving = true;
    this.#session.close();
    this.limits.head.arm(this);
  }

  /** Asks the client to open no more streams and closes when those under way have ended (RFC 9113 6.8). */
  drain(): void {
    const session = this.#session;
    if (this.#leaving || session.closed || session.destroyed) return;
    this.#leaving = true;
    this.limits.head.arm(this);
    session.goaway(ErrorCode.No, LAST_STREAM);
    // What the client sent before it heard of it has come when it answers.
    if (!session.ping(() => session.close())) session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }
}
