import { ConfigError } from '../../model/errors.ts';

/** Where a PostgreSQL database is, and how to say so. */
export interface DatabaseAddress {
  /** With the password: for the client only. */
  readonly connectionString: string;
  /** Without password and options, for people and logs. */
  readonly shown: string;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\]|)$/;

/**
 * Parses `postgres://user:password@host:port/database?options` (libpq's URIs: PostgreSQL 17, 32.1.1.2).
 *
 * Another host than this one must show a certificate unless the options say otherwise by
 * `sslmode`: what is sent is the whole configuration.
 *
 * @throws ConfigError that doesn't repeat the text, since it may hold a password
 */
export function parseDatabaseAddress(text: string): DatabaseAddress {
  if (!/^postgres(?:ql)?:\/\//.test(text)) {
    throw new ConfigError('the store must be like postgres://user@host:5432/database');
  }
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ConfigError(
      'the address of the store is no URL; write %-codes for characters such as @, / and # in user and password',
    );
  }
  const { username, host, hostname, pathname, searchParams } = url;
  const isHere = LOOPBACK.test(hostname) && (searchParams.get('host') ?? '/').startsWith('/');
  if (!isHere && !searchParams.has('sslmode') && !searchParams.has('ssl')) {
    searchParams.set('sslmode', 'verify-full');
  }
  const user = username === '' ? '' : `${username}@`;
  const at = host === '' ? (searchParams.get('host') ?? '') : host;
  return { connectionString: url.href, shown: `postgres://${user}${at}${pathname}` };
}
