import type { StoredResponse, StoringPolicy } from '../../lib/http-caching/stored-response.ts';
import { freshened, isRevoked, type ReceivedResponse } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry } from '../cache.ts';

/**
 * Takes over what the Upstream said when it confirmed an entry, and forgets the entry where that may
 * not be told to others: where it has become private, or was said to one Consumer and isn't public.
 * `partition` is the caller's own. Returns the response as the caller may have it.
 */
export function confirm(
  cache: Cache,
  entry: CacheEntry,
  received: ReceivedResponse,
  policy: StoringPolicy,
  partition: string,
): StoredResponse {
  const etag = received.fields.header('etag');
  // A confirmation of another version says nothing of this one (RFC 9111 4.3.4).
  if (etag !== undefined && etag !== entry.response.etag) return entry.response;
  const response = freshened(entry.response, received, policy);
  const isOwn = entry.partition === partition;
  if (isRevoked(response, received.request, policy) || (!isOwn && !response.public)) cache.remove(entry);
  else cache.refresh(entry, response);
  return response;
}
