import type { CacheDirectives } from '../../lib/http-caching/cache-control.ts';
import type { Fields } from '../../lib/http-caching/freshness.ts';
import type { CacheEntry } from '../cache.ts';
import type { Flight } from './flights.ts';

/** Why a request went to the Upstream (RFC 9211 2.2). */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'request' | 'stale';

/** What the access phase leaves for the response. */
export interface CacheTurn {
  readonly resource: string;
  /** Where an answer for this caller alone is kept. */
  readonly partition: string;
  /** Where an answer for everybody is kept. */
  readonly shared: string;
  readonly directives: Readonly<CacheDirectives>;
  forwarded: ForwardReason;
  /** The response may be stored. */
  storing: boolean;
  /** Unix milliseconds at which the request went on. */
  requestedAt: number;
  /** What is to be confirmed, or to stand in for an Upstream that fails; with its body. */
  entry: CacheEntry | undefined;
  body: Uint8Array | undefined;
  /** The client's own conditions, where the request upstream has ours. */
  conditions: Fields | undefined;
  /** Others wait for this one. */
  flight: Flight | undefined;
  /** It has waited for another and won't again. */
  waitedFor: Flight | undefined;
}
