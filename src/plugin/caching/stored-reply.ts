import { resolveRange } from '../../lib/http-caching/byte-range.ts';
import { isUnmodified, rangeApplies } from '../../lib/http-caching/conditions.ts';
import type { Field } from '../../lib/http-caching/field-list.ts';
import type { Fields } from '../../lib/http-caching/freshness.ts';
import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { WholeReply } from '../reply.ts';

/** Fields that tell a client which version it has; the rest it has already (RFC 9110 15.4.5). */
const IN_304 = new Set([
  'cache-control',
  'cdn-cache-control',
  'content-location',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
]);

/**
 * The Reply that a stored response makes of a request: all of it, a part of it, or word that the
 * client has it already. `added` are fields that it gets besides its own.
 */
export function storedReply(
  stored: StoredResponse,
  body: Uint8Array,
  method: string,
  request: Fields,
  added: readonly Field[],
  reason: string,
): WholeReply {
  if (stored.status === 200 || stored.status === 203) {
    if (isUnmodified(request, stored)) {
      const fields = stored.fields.filter(([name]) => IN_304.has(name.toLowerCase()));
      return { status: 304, headers: [...fields, ...added], body: undefined, untyped: true, reason };
    }
    const range = method === 'GET' ? request.header('range') : undefined;
    if (range !== undefined) {
      const partial = partialReply(stored, body, range, request, added, reason);
      if (partial !== undefined) return partial;
    }
  }
  return { status: stored.status, headers: [...stored.fields, ...added], body, untyped: true, reason };
}

function partialReply(
  stored: StoredResponse,
  body: Uint8Array,
  field: string,
  request: Fields,
  added: readonly Field[],
  reason: string,
): WholeReply | undefined {
  const modified = stored.fields.find(([name]) => name.toLowerCase() === 'last-modified')?.[1];
  if (!rangeApplies(request, stored, modified)) return undefined;
  const range = resolveRange(field, body.length);
  if (range === undefined) return undefined;
  if (range === 'unsatisfiable') {
    const about: Field = ['Content-Range', `bytes */${body.length}`];
    return { status: 416, headers: [about, ...added], body: '', untyped: true, reason };
  }
  const about: Field = ['Content-Range', `bytes ${range.start}-${range.end - 1}/${body.length}`];
  return {
    status: 206,
    headers: [...stored.fields, about, ...added],
    body: body.subarray(range.start, range.end),
    untyped: true,
    reason,
  };
}
