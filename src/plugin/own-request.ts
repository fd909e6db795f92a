import type { AccessExchange, UpstreamHandle } from './exchange.ts';

/** A request that the gateway makes for itself: to refresh a cache, to mirror, to ask somebody. */
export interface OwnRequest {
  /** Where it goes: chosen, sent and retried as a client's request is. */
  readonly upstream: UpstreamHandle;
  readonly method: string;
  /** Path and query as they are sent; must begin with `/`. */
  readonly target: string;
  /** Fields, Host among them; framing and hop-by-hop fields are the engine's. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /**
   * Whose client X-Real-IP and X-Forwarded-* tell of, as they would for its own request. None of them
   * is sent without; those in `headers` are never believed.
   */
  readonly onBehalfOf?: AccessExchange;
  readonly body?: Uint8Array;
  /** Milliseconds for all of it; 60 000 unless given. */
  readonly timeoutMs?: number;
  /** The largest response body that is taken, in bytes; 16 MiB unless given. */
  readonly maxBodyBytes?: number;
  /** The response's body interests nobody: it is read, however large, and not kept. */
  readonly discardBody?: boolean;
}

/** Why nothing was sent where nothing may be, as in `explain`. */
export class NothingSent extends Error {
  override readonly name = 'NothingSent';
}

/** What the Upstream answered. */
export interface OwnResponse {
  readonly status: number;
  /** In order, with names as sent, without hop-by-hop fields. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}
