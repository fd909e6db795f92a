// Conditional and range requests for a file (RFC 9110 13 and 14).

import { type ByteRange, resolveRange } from '../../lib/http-caching/byte-range.ts';
import type { RequestView } from '../../plugin/exchange.ts';

/** What a file's version is known by. */
export interface Version {
  /** A strong entity tag. */
  readonly etag: string;
  /** Unix seconds. */
  readonly modifiedSeconds: number;
}

type Fields = Pick<RequestView, 'header' | 'headerValues'>;

/** The status that preconditions end the request with; undefined when it goes on (RFC 9110 13.2.2). */
export function preconditionStatus(
  request: Fields,
  { etag, modifiedSeconds }: Version,
): 304 | 412 | undefined {
  const ifMatch = listOf(request, 'if-match');
  if (ifMatch !== undefined) {
    if (!ifMatch.includes('*') && !ifMatch.includes(etag)) return 412;
  } else {
    const since = parseDate(request.header('if-unmodified-since'));
    if (since !== undefined && modifiedSeconds > since) return 412;
  }
  const ifNoneMatch = listOf(request, 'if-none-match');
  if (ifNoneMatch !== undefined) {
    return ifNoneMatch.some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag) ? 304 : undefined;
  }
  const since = parseDate(request.header('if-modified-since'));
  return since !== undefined && modifiedSeconds <= since ? 304 : undefined;
}

/**
 * The part that a GET asks for: undefined for the whole file, also where several parts are asked
 * for, which a server need not give (RFC 9110 14.2).
 */
export function requestedRange(
  request: Fields,
  version: Version,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const field = request.header('range');
  if (field === undefined || !ifRangeHolds(request.header('if-range'), version)) return undefined;
  return resolveRange(field, size);
}

/** RFC 9110 13.1.5: by a strong tag, or by the very date. */
function ifRangeHolds(field: string | undefined, { etag, modifiedSeconds }: Version): boolean {
  if (field === undefined) return true;
  return field.startsWith('"') ? field === etag : parseDate(field) === modifiedSeconds;
}

/** The tags of a field; undefined when there is no such field. */
function listOf(request: Fields, name: string): readonly string[] | undefined {
  const values = request.headerValues(name);
  if (values.length === 0) return undefined;
  return values.join(',').match(/(?:W\/)?"[^"]*"|\*/g) ?? [];
}

/** An HTTP-date in any of its three forms (RFC 9110 5.6.7) as Unix seconds. */
function parseDate(text: string | undefined): number | undefined {
  if (text === undefined || !/^[A-Z][a-z]{2,8},? [\w :-]+$/.test(text)) return undefined;
  const milliseconds = Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000;
}
