import type { Client } from 'pg';
import { StoreAwayError } from '../../model/store.ts';
import type { DatabaseAddress } from './database-address.ts';

const CONNECT_MS = 5_000;
/** Nothing that is asked takes so long unless the database, or the way to it, is broken; but reading everything may. */
export const ANSWER_MS = 5_000;
export const READ_ALL_MS = 60_000;

/**
 * The session's own settings. A process that stands still within a transaction must not keep the
 * others from writing; and what is answered must be on the disk, whatever the role is set to.
 */
const SESSION = `
  SET lock_timeout = '4s';
  SET idle_in_transaction_session_timeout = '10s';
  SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') IN ('off', 'local');
  LISTEN sluice`;

/** Connects, and sets the session up. @throws Error whose message says why not, without the password */
export async function connect(address: DatabaseAddress, answerMs: number): Promise<Client> {
  // Most processes have no PostgreSQL.
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    connectionString: address.connectionString,
    application_name: 'sluice',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: answerMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // Without a listener, a connection that breaks would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(SESSION);
    return client;
  } catch (error) {
    void client.end().catch(() => {});
    throw new StoreAwayError(`${address.shown} can't be reached: ${reasonOf(error)}`);
  }
}

/** The SQLSTATE of an error that the database itself answered with. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Whether the connection is of no use after this error (PostgreSQL 17, appendix A): broken, shut
 * down, or to a server that has become a standby.
 */
export function isBroken(error: unknown): boolean {
  const state = sqlStateOf(error);
  return state === undefined || /^(?:08|57P|25P03|25006)/.test(state);
}

/** What went wrong, in a few words. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const message = error instanceof Error ? error.message : String(error);
  if (/does not support SSL/i.test(message)) {
    return `${message}; give the server a certificate, or say sslmode=disable in the address`;
  }
  return message.replaceAll(/\s+/g, ' ');
}
