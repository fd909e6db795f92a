// Whether a stored response answers a request (RFC 9111 4).

import { type CacheDirectives, NO_DIRECTIVES } from './cache-control.ts';
import type { Fields } from './freshness.ts';
import type { StoredResponse } from './stored-response.ts';
import { normalizeSelecting } from './vary.ts';

/**
 * `fresh`: use it. `stale`: the client accepts it as it is. `revalidating`: use it, and fetch it anew
 * meanwhile. `validate`: ask the origin first.
 */
export type Reuse = 'fresh' | 'stale' | 'revalidating' | 'validate';

/** Milliseconds since the origin made or confirmed it (RFC 9111 4.2.3). */
export function ageOf(stored: StoredResponse, now: number): number {
  return stored.initialAge + Math.max(0, now - stored.receivedAt);
}

/** Whether the request says what the one said that the response was made for. */
export function suits(stored: StoredResponse, request: Fields): boolean {
  for (const [name, value] of stored.vary) {
    if (normalizeSelecting(name, request.headerValues(name)) !== value) return false;
  }
  return true;
}

export function reuseOf(stored: StoredResponse, directives: Readonly<CacheDirectives>, now: number): Reuse {
  const age = ageOf(stored, now);
  const left = stored.lifetime - age;
  if (stored.noCache) return 'validate';
  if (directives !== NO_DIRECTIVES) {
    const { maxAge, minFresh } = directives;
    if (directives.noCache) return 'validate';
    // Who says 0 wants it checked, even if it is of this very moment.
    if (maxAge !== undefined && (maxAge === 0 || age > maxAge * 1000)) return 'validate';
    if (minFresh !== undefined && left < minFresh * 1000) return 'validate';
  }
  if (left > 0) return 'fresh';
  const { maxStale } = directives;
  if (maxStale !== undefined && stored.mayBeStale && -left <= maxStale * 1000) return 'stale';
  return -left < stored.staleWhileRevalidate ? 'revalidating' : 'validate';
}

/** Whether it may stand in for an origin that fails (RFC 5861 4, RFC 9111 4.2.4). */
export function mayReplaceError(stored: StoredResponse, now: number): boolean {
  return !stored.noCache && ageOf(stored, now) - stored.lifetime < stored.staleIfError;
}
