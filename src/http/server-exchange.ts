// What a client's connection drives, and by whose rules.

import type { Deadlines } from '../lib/deadlines.ts';
import type { ClientConnection } from './client-connection.ts';
import type { Head } from './head.ts';
import type { ProtocolError } from './protocol-error.ts';
import type { RequestLimits } from './request-parser.ts';

/** What a client may take and how long; durations as deadline lists. */
export interface ClientLimits extends RequestLimits {
  readonly maxHeadBytes: number;
  /** 0 means no limit. */
  readonly maxBodyBytes: number;
  /** Requests on one connection. */
  readonly maxRequests: number;
  readonly head: Deadlines;
  readonly body: Deadlines;
  readonly idle: Deadlines;
  readonly send: Deadlines;
}

/** One request and its response, as the connection drives it. */
export interface ServerExchange {
  readonly requestHead: Head;
  /** The head is there, with the first piece of the body (valid during the call only). */
  onRequest(bytes: Uint8Array, start: number, end: number, complete: boolean): void;
  onRequestBody(bytes: Uint8Array, start: number, end: number, complete: boolean): void;
  /** The request can't be taken, or not any more; answer and close. */
  onRefused(refusal: ProtocolError): void;
  /** The client reads again after congestion. */
  onClientDrain(): void;
  /** The client is gone; nothing can be sent. */
  onClientGone(reason: string): void;
  /** Nothing of a response was sent yet, so an interim one may be. */
  readonly mayProbe: boolean;
}

/** What accepts connections and makes their Exchanges. */
export interface ConnectionHost {
  readonly limits: ClientLimits;
  /** Its connections are streams of HTTP/2. */
  readonly http2: boolean;
  /** Responses say that the connection closes after them. */
  readonly draining: boolean;
  /** Connections close after their response, also where it said before that they stay. */
  readonly closing: boolean;
  acquire(connection: ClientConnection): ServerExchange;
  onConnectionClosed(connection: ClientConnection): void;
}

/** What was accepted from a client, as the one sees it that has to end it one day. */
export interface Accepted {
  readonly remoteAddress: string;
  /** Closes as soon as nothing is under way; says so to the client where the protocol can. */
  drain(): void;
  /** Closes at once. */
  destroy(): void;
}
