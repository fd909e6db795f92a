// How bytes get in and out of a connection. The engine above knows no sockets and no streams.

import type { TlsSession } from '../tls/tls-session.ts';

/** What a write did with the bytes. */
export const WRITTEN = 0;
/** Still in use by the system: the buffer must not be touched again. */
export const PENDING = 1;
/** As PENDING, and the producer should stop until `onDrain`. */
export const CONGESTED = 2;
export type WriteResult = typeof WRITTEN | typeof PENDING | typeof CONGESTED;

/** Receives what happens on a connection. */
export interface TransportOwner {
  /** The connection is made (outgoing only). */
  onConnected(): void;
  /** Bytes came. They are valid during the call only: the buffer may be shared by all connections. */
  onData(bytes: Buffer, start: number, end: number): void;
  /** The peer will send no more; it may still read. */
  onEnd(): void;
  /** Written bytes have left; a congested producer may go on. */
  onDrain(): void;
  /** The connection is gone. Called once, last. */
  onClose(error: Error | undefined): void;
}

export interface Transport {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localPort: number;
  /** The address at our end. */
  readonly localAddress: string;
  /** What the handshake found out; null without TLS. */
  readonly tls: TlsSession | null;
  /** 0 when everything written is with the system, else a number that changes as bytes leave. */
  readonly unsent: number;
  /** Sends `bytes[start, end)`. Unless the result is WRITTEN, the buffer belongs to the system. */
  write(bytes: Buffer, start: number, end: number): WriteResult;
  pause(): void;
  resume(): void;
  /** Sends what is pending, then says that no more will come. */
  end(): void;
  /** Closes at once. */
  destroy(): void;
  /** Closes at once with a TCP reset, so that the peer can't take what it got for complete. */
  reset(): void;
}
