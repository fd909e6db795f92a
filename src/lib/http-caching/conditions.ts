// Conditions that a client puts on a request, judged by a stored response (RFC 9110 13, RFC 9111 4.3.2).

import type { Fields } from './freshness.ts';
import { parseHttpDate } from './http-date.ts';

/** What tells one version of a resource from another. */
export interface Validators {
  /** As it was sent. */
  readonly etag: string | undefined;
  /** Unix milliseconds of Last-Modified. */
  readonly lastModified: number | undefined;
  /** Unix milliseconds of Date, or of its receipt. */
  readonly date: number;
}

/** Whether the client has this version already, so that a 304 is the answer. */
export function isUnmodified(request: Fields, stored: Validators): boolean {
  const tags = request.headerValues('if-none-match');
  if (tags.length > 0) return matchesTag(tags, stored.etag);
  const since = request.header('if-modified-since');
  if (since === undefined) return false;
  const at = parseHttpDate(since, stored.date);
  return at !== undefined && (stored.lastModified ?? stored.date) <= at;
}

/** By weak comparison; `*` suits whatever is there. */
function matchesTag(values: readonly string[], etag: string | undefined): boolean {
  const opaque = etag === undefined ? undefined : withoutWeakness(etag);
  for (const value of values) {
    if (value.trim() === '*') return true;
    if (opaque === undefined) continue;
    // A tag may have commas inside its quotes.
    for (const [member] of value.matchAll(/(?:W\/)?"[^"]*"|[^\s,]+/g)) {
      if (withoutWeakness(member) === opaque) return true;
    }
  }
  return false;
}

function withoutWeakness(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

/** Whether a Range applies: there is no If-Range, or it names this very version (RFC 9110 13.1.5). */
export function rangeApplies(
  request: Fields,
  stored: Validators,
  lastModifiedField: string | undefined,
): boolean {
  const condition = request.header('if-range');
  if (condition === undefined) return true;
  if (condition.startsWith('"')) return condition === stored.etag;
  // A date is a strong validator only when it had the time to become one (RFC 9110 8.8.2.2).
  return (
    condition === lastModifiedField &&
    stored.lastModified !== undefined &&
    stored.date - stored.lastModified >= 60_000
  );
}
