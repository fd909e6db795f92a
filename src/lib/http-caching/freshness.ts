// How long a response may be used, and how old it is (RFC 9111 4.2). All times in milliseconds.

import type { CacheDirectives } from './cache-control.ts';
import { parseHttpDate } from './http-date.ts';

/** The fields of a message, by name in lower case. */
export interface Fields {
  header(name: string): string | undefined;
  headerValues(name: string): readonly string[];
}

/** Statuses that may be stored though nobody said for how long (RFC 9110 15.1), as far as they have a whole body. */
const HEURISTIC = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Whether a response may be stored and used without explicit freshness. */
export function isHeuristic(status: number, { public: isPublic }: Readonly<CacheDirectives>): boolean {
  return isPublic || HEURISTIC.has(status);
}

/** How fresh a response is when it is received. */
export interface Freshness {
  /** For how long it is fresh, from its age 0 on. */
  readonly lifetime: number;
  /** The origin said so, one way or the other. */
  readonly explicit: boolean;
  /** Its age on arrival. */
  readonly initialAge: number;
  /** Its Date, or when it was received. */
  readonly date: number;
}

export interface FreshnessInput {
  readonly status: number;
  readonly fields: Fields;
  readonly directives: Readonly<CacheDirectives>;
  /** The directives come from a targeted field, so that Expires says nothing (RFC 9213 2.2). */
  readonly targeted: boolean;
  readonly requestedAt: number;
  readonly receivedAt: number;
  /** Part of the time since Last-Modified for which a response is taken to be fresh. */
  readonly heuristicFraction: number;
  readonly heuristicMaximum: number;
}

export function freshnessOf(input: FreshnessInput): Freshness {
  const { fields, directives, receivedAt, requestedAt, targeted } = input;
  const dateField = fields.header('date');
  const date = (dateField && parseHttpDate(dateField, receivedAt)) || receivedAt;
  const apparentAge = Math.max(0, receivedAt - date);
  const correctedAge = ageField(fields) * 1000 + (receivedAt - requestedAt);
  const initialAge = Math.max(apparentAge, correctedAge);
  const made = (lifetime: number, explicit: boolean): Freshness => ({
    lifetime: Math.max(0, lifetime),
    explicit,
    initialAge,
    date,
  });
  const maxAge = directives.sMaxAge ?? directives.maxAge;
  if (maxAge !== undefined) return made(maxAge * 1000, true);
  const expires = targeted ? [] : fields.headerValues('expires');
  if (expires.length > 0) {
    // What is no date is in the past (RFC 9111 5.3), and so is a doubled one.
    const at = expires.length === 1 ? parseHttpDate(expires[0], receivedAt) : undefined;
    return made(at === undefined ? 0 : at - date, true);
  }
  const modified = fields.header('last-modified');
  if (modified !== undefined && isHeuristic(input.status, directives)) {
    const at = parseHttpDate(modified, receivedAt);
    if (at !== undefined && at < date)
      return made(Math.min((date - at) * input.heuristicFraction, input.heuristicMaximum), false);
  }
  return made(0, false);
}

/** The Age field in seconds: its first member, 0 where that is no number (RFC 9111 5.1). */
function ageField(fields: Fields): number {
  const first = fields.header('age')?.split(',', 1)[0].trim();
  return first !== undefined && /^\d+$/.test(first) ? Math.min(Number(first), 2_147_483_648) : 0;
}
