import type { Deadlines } from '../lib/deadlines.ts';
import type { UpstreamConnection, UpstreamExchange } from './upstream-connection.ts';

export interface PoolOptions {
  /** Idle connections kept at most. */
  readonly size: number;
  /** Milliseconds after which an idle connection is closed. */
  readonly idleTimeout: number;
  /** Requests on one connection; 0 means no limit. */
  readonly maxRequests: number;
}

/** The connections of this thread to one Target. */
export interface UpstreamPool {
  /** Connections that exist, idle or not. */
  readonly count: number;
  configure(options: PoolOptions): void;
  /** Gives up connections to other addresses than these, unless there are none: the idle ones now, the others when they come back. */
  restrict(addresses: readonly string[]): void;
  /** A connection that is ready and has begun the Exchange, or undefined when a new one must be made. */
  take(exchange: UpstreamExchange): UpstreamConnection | undefined;
  /** A new connection; the Exchange hears onUpstreamReady or onUpstreamFailure. `preface` goes in front of everything. */
  open(
    address: string,
    exchange: UpstreamExchange,
    connectDeadlines: Deadlines,
    preface?: Buffer,
  ): UpstreamConnection;
  /** A connection has served its request and could serve another. */
  release(connection: UpstreamConnection): void;
  onClosed(connection: UpstreamConnection): void;
  /** Closes what is idle now, and the rest when it comes back. */
  close(): void;
}
