// What is kept of a response, and whether it may be kept at all (RFC 9111 3).

import { type CacheDirectives, parseCacheControl } from './cache-control.ts';
import type { Validators } from './conditions.ts';
import { type Field, FieldList, storableFields, updatedFields } from './field-list.ts';
import { type Fields, type Freshness, freshnessOf, isHeuristic } from './freshness.ts';
import { parseHttpDate } from './http-date.ts';
import { parseTargetedCacheControl } from './targeted-cache-control.ts';
import { normalizeSelecting, parseVary } from './vary.ts';

/** A response without its body. Plain data: it crosses threads as it is. Times in milliseconds. */
export interface StoredResponse extends Validators {
  readonly status: number;
  /** Without those of the connection, Content-Length and Age. */
  readonly fields: readonly Field[];
  /** The request fields it was chosen by, with what they said, normalised; undefined where there was none. */
  readonly vary: readonly (readonly [name: string, value: string | undefined])[];
  readonly requestedAt: number;
  readonly receivedAt: number;
  readonly initialAge: number;
  readonly lifetime: number;
  /** The origin said in so many words that it is for everybody. */
  readonly public: boolean;
  /** It must be validated before each use. */
  readonly noCache: boolean;
  /** The client may accept it stale. */
  readonly mayBeStale: boolean;
  /** For how long after its lifetime it may be used while it is fetched anew. */
  readonly staleWhileRevalidate: number;
  /** For how long after its lifetime it may be used when the origin fails. */
  readonly staleIfError: number;
}

export interface StoringPolicy {
  /** Targeted fields (RFC 9213) in lower case, the most specific first. */
  readonly targetedFields: readonly string[];
  readonly heuristicFraction: number;
  readonly heuristicMaximum: number;
  /** Stores a response with Set-Cookie, without that field, also where it isn't `public`. */
  readonly dropSetCookie: boolean;
  /** Stores also for a request with cookies what the origin gave no lifetime: it may be that client's own. */
  readonly guessesForCookies: boolean;
  /** For how long a stale response may be used when the origin fails and has not said. */
  readonly staleIfError: number;
  /** The lifetime where the rules say `freshness`. */
  lifetime(status: number, freshness: Freshness): number;
}

export interface ReceivedResponse {
  readonly method: string;
  readonly status: number;
  readonly fields: FieldList;
  /** Of the request as the origin got it. */
  readonly request: Fields;
  readonly requestedAt: number;
  readonly receivedAt: number;
}

export type Storing =
  | { readonly stored: StoredResponse; readonly isPublic: boolean }
  /** Why not, in a word. */
  | { readonly stored: undefined; readonly reason: string };

/** Statuses whose caching this code understands (RFC 9111 3: `must-understand`). */
const UNDERSTOOD = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 500, 501, 502, 503, 504,
]);

/** Statuses that judge one request's fields, its client or its moment, and so say nothing to others (RFC 6585 3 to 6, RFC 8470 5.2). */
const OF_ONE_REQUEST = new Set([412, 413, 416, 417, 421, 425, 428, 429, 431, 511]);

/** The directives that hold for a response, and whether they come from a targeted field. */
export function directivesOf(
  fields: Fields,
  targetedFields: readonly string[],
): { readonly directives: Readonly<CacheDirectives>; readonly targeted: boolean } {
  for (const name of targetedFields) {
    const values = fields.headerValues(name);
    const directives = values.length > 0 ? parseTargetedCacheControl(values) : undefined;
    if (directives !== undefined) return { directives, targeted: true };
  }
  return { directives: parseCacheControl(fields.headerValues('cache-control')), targeted: false };
}

/** What to keep of a response of the origin's, or why nothing. */
export function storingOf(received: ReceivedResponse, policy: StoringPolicy): Storing {
  const { status, fields, request, method } = received;
  const { directives, targeted } = directivesOf(fields, policy.targetedFields);
  const refused = (reason: string): Storing => ({ stored: undefined, reason });
  if (status < 200 || status === 206 || status === 304 || OF_ONE_REQUEST.has(status))
    return refused('status');
  if (directives.mustUnderstand) {
    if (!UNDERSTOOD.has(status)) return refused('status');
  } else if (directives.noStore) return refused('no-store');
  if (directives.private) return refused('private');
  if (isForOneCaller(directives, request)) return refused('authorization');
  const setsCookie = fields.header('set-cookie') !== undefined;
  if (setsCookie && !directives.public && !policy.dropSetCookie) return refused('set-cookie');
  const names = parseVary(fields.headerValues('vary'));
  if (names === undefined) return refused('vary');
  const freshness = freshnessOf({
    status,
    fields,
    directives,
    targeted,
    requestedAt: received.requestedAt,
    receivedAt: received.receivedAt,
    heuristicFraction: policy.heuristicFraction,
    heuristicMaximum: policy.heuristicMaximum,
  });
  const lifetime = policy.lifetime(status, freshness);
  if (
    !freshness.explicit &&
    !directives.public &&
    !policy.guessesForCookies &&
    request.header('cookie') !== undefined
  )
    return refused('cookie');
  if (!freshness.explicit && lifetime === 0 && !isHeuristic(status, directives)) return refused('status');
  // Only with a lifetime that somebody gave it (RFC 9110 9.3.3), the origin or the policy.
  if (method === 'POST' && !freshness.explicit && lifetime === freshness.lifetime) return refused('method');
  const omitted = setsCookie ? [...directives.noCacheFields, 'set-cookie'] : directives.noCacheFields;
  const kept = storableFields(fields, omitted);
  addDate(kept, received);
  const stored = make(kept, status, directives, freshness, lifetime, policy, received);
  const useless =
    (stored.noCache ||
      stored.initialAge >= lifetime + Math.max(stored.staleWhileRevalidate, stored.staleIfError)) &&
    stored.etag === undefined &&
    stored.lastModified === undefined;
  if (useless || (lifetime === 0 && stored.etag === undefined && stored.lastModified === undefined))
    return refused('stale');
  const vary = names.map((name) => [name, normalizeSelecting(name, request.headerValues(name))] as const);
  return { stored: { ...stored, vary }, isPublic: directives.public };
}

/** A stored response after a 304, or after a 200 to HEAD that tells of the same version (RFC 9111 3.2, 4.3.4). */
export function freshened(
  stored: StoredResponse,
  received: ReceivedResponse,
  policy: StoringPolicy,
): StoredResponse {
  const { directives: said } = directivesOf(received.fields, policy.targetedFields);
  const omitted = [...said.noCacheFields, 'set-cookie'];
  const news = storableFields(received.fields, omitted);
  addDate(news, received);
  const fields = updatedFields(stored.fields, news);
  const list = new FieldList(fields);
  const { directives, targeted } = directivesOf(list, policy.targetedFields);
  // An Age of the old response says nothing of this one.
  const age = received.fields.header('age');
  const freshness = freshnessOf({
    status: stored.status,
    fields: age === undefined ? list : new FieldList([...fields, ['age', age]]),
    directives,
    targeted,
    requestedAt: received.requestedAt,
    receivedAt: received.receivedAt,
    heuristicFraction: policy.heuristicFraction,
    heuristicMaximum: policy.heuristicMaximum,
  });
  const lifetime = policy.lifetime(stored.status, freshness);
  const made = make(fields, stored.status, directives, freshness, lifetime, policy, received);
  return { ...made, vary: stored.vary };
}

/** Whether a confirmation has said that what it confirmed may not be kept for others any more. */
export function isRevoked(confirmed: StoredResponse, request: Fields, policy: StoringPolicy): boolean {
  const { directives } = directivesOf(new FieldList(confirmed.fields), policy.targetedFields);
  if (directives.private || (directives.noStore && !directives.mustUnderstand)) return true;
  return isForOneCaller(directives, request);
}

/** Whether it was asked for with credentials and nothing says that others may have it (RFC 9111 3.5). */
function isForOneCaller(directives: Readonly<CacheDirectives>, request: Fields): boolean {
  return (
    request.header('authorization') !== undefined &&
    !directives.public &&
    !directives.mustRevalidate &&
    directives.sMaxAge === undefined
  );
}

/** A recipient with a clock says when a response came that doesn't (RFC 9110 6.6.1). */
function addDate(kept: Field[], { fields, receivedAt }: ReceivedResponse): void {
  if (fields.header('date') === undefined) kept.push(['Date', new Date(receivedAt).toUTCString()]);
}

function make(
  fields: readonly Field[],
  status: number,
  directives: Readonly<CacheDirectives>,
  freshness: Freshness,
  lifetime: number,
  policy: StoringPolicy,
  { requestedAt, receivedAt }: ReceivedResponse,
): StoredResponse {
  const list = new FieldList(fields);
  const modified = list.header('last-modified');
  const strict = directives.mustRevalidate || directives.proxyRevalidate || directives.noCache;
  // `s-maxage` forbids stale use as well (RFC 9111 5.2.2.10), unless the origin allows it in so many words.
  const silent = strict || directives.sMaxAge !== undefined;
  return {
    status,
    fields,
    vary: [],
    requestedAt,
    receivedAt,
    initialAge: freshness.initialAge,
    lifetime,
    etag: list.header('etag'),
    lastModified: modified === undefined ? undefined : parseHttpDate(modified, receivedAt),
    date: freshness.date,
    public: directives.public,
    noCache: directives.noCache,
    mayBeStale: !silent,
    staleWhileRevalidate: strict ? 0 : (directives.staleWhileRevalidate ?? 0) * 1000,
    staleIfError: strict
      ? 0
      : directives.staleIfError !== undefined
        ? directives.staleIfError * 1000
        : silent
          ? 0
          : policy.staleIfError,
  };
}
