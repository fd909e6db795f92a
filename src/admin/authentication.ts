import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Who may use the Admin API: an admin may do all, a viewer may only GET. */
export interface AdminKey {
  readonly name: string;
  readonly key: string;
  readonly role: 'admin' | 'viewer';
}

export interface Authentication {
  /** Why the request is refused, or undefined. */
  check(request: IncomingMessage, query: URLSearchParams): string | undefined;
}

/** Recognises callers by a key in the header `X-API-KEY`, the query's `api_key` or the cookie `x_api_key`. */
export function createAuthentication(keys: readonly AdminKey[]): Authentication {
  if (keys.length === 0 || keys.some(({ key }) => key === '')) {
    throw new RangeError('the Admin API needs at least one key, and none may be empty');
  }
  const known = keys.map(({ key, role }) => ({ digest: digest(key), role }));
  return {
    check(request, query) {
      const sent = query.get('api_key') ?? header(request, 'x-api-key') ?? cookieKey(request);
      if (sent === undefined) return 'missing apikey';
      const candidate = digest(sent);
      let role: AdminKey['role'] | undefined;
      // Every key is compared, and by digest: the time tells neither which nor how much was right.
      for (const one of known) if (timingSafeEqual(one.digest, candidate)) role ??= one.role;
      if (role === undefined) return 'wrong apikey';
      return role === 'viewer' && request.method !== 'GET' ? 'invalid method for role viewer' : undefined;
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** A browser sends its cookie whoever made the page, so one is only believed from a page of this origin. */
function cookieKey(request: IncomingMessage): string | undefined {
  const site = header(request, 'sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return undefined;
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === 'x_api_key') return pair.slice(equals + 1).trim();
  }
  return undefined;
}
