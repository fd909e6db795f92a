/**
 * Sees or changes a body as it passes, piece by piece, without holding it: compression, a copy for
 * a cache, a pace. Lifecycle: `write` any number of times, then `end`; or `abort` at any time. Made
 * anew for each Exchange.
 */
export interface BodyFilter {
  /** Every byte that comes goes on, in order: the body's length stays what the head says. */
  readonly keepsLength?: boolean;
  /**
   * The content coding that it adds (RFC 9110 8.4), which the head names. It is the engine that does
   * so, as the last thing: all handlers see and change the body as it is without.
   */
  readonly coding?: string;
  /**
   * Sees the body as the Upstream sent it, before every other filter and also when something else is
   * sent in its place. What it gives to `next` must be what came.
   */
  readonly original?: boolean;
  /**
   * Takes a piece. The bytes are valid during the call only; what goes on is given to `next`, now or
   * later. Returns false to get no more until `next.resume()`, when it can't keep up.
   */
  write(bytes: Uint8Array, next: BodySink): boolean | void;
  /**
   * Takes the trailers, names as sent, just before `end`. Without this method they go on behind the
   * body, where it goes in chunks or over HTTP/2.
   */
  trailers?(fields: readonly (readonly [name: string, value: string])[]): void;
  /** The body is complete: whatever was held back goes to `next`, and then `next.end()`, now or later. It may come before `resume` was called. */
  end(next: BodySink): void;
  /** The body will never be complete: the client or the Upstream is gone. Nothing is heard any more. */
  abort?(): void;
}

/** Where a filter's bytes go on. Calls after `end`, or after the Exchange has ended, do nothing. */
export interface BodySink {
  /** Takes bytes; they may be used again when the call is over. */
  write(bytes: Uint8Array): void;
  /** There will be no more. */
  end(): void;
  /** Lets the next piece come after `write` has returned false. */
  resume(): void;
  /** The body can't be completed; the client sees an aborted response. */
  fail(error: Error): void;
}
