import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Change } from '../../model/change.ts';
import { type SharedStore, StoreAwayError, type StoreContent, StoreMovedError } from '../../model/store.ts';
import type { Logger } from '../../plugin/kit.ts';
import { type ChangeRows, fromRow, type Row, toRows } from '../row.ts';
import { ANSWER_MS, connect, isBroken, reasonOf, sqlStateOf } from './connecting.ts';
import type { DatabaseAddress } from './database-address.ts';
import { migrate } from './migrations.ts';
import {
  agreeOnKey,
  apply,
  beginWriting,
  commit,
  type Mark,
  readAll,
  readMark,
  readSteps,
  type Step,
} from './statements.ts';

export interface PostgresStoreOptions {
  readonly log?: Pick<Logger, 'warn' | 'info'>;
  /** A text that depends on the encryption key and doesn't reveal it: all who share the database must have the same. */
  readonly keyCheck?: string;
  /** Milliseconds after which a database that doesn't answer counts as away. */
  readonly answerMs?: number;
}

interface Pending {
  readonly change: ChangeRows;
  resolve(): void;
  reject(error: Error): void;
}

const GOODBYE_MS = 1_000;
/** Between looks at the revision, for notices that got lost, as with a pooler between. */
const POLL_MS = 2_000;
/** Between attempts to reach a database that is away: doubled each time up to the longest. */
const SHORTEST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** Changes that wait for the disk together. */
const CHANGES_PER_COMMIT = 256;

/**
 * Keeps resources in a PostgreSQL database that several processes may share.
 *
 * One connection, on which one thing happens at a time. Where it breaks, it is made anew until that
 * succeeds; meanwhile writes reject with StoreAwayError.
 */
export class PostgresStore implements SharedStore {
  readonly #address: DatabaseAddress;
  readonly #answerMs: number;
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  #client: Client | undefined;
  /** Tells our own notices from those of others. */
  readonly #name = randomUUID();
  /** Where this Store stands. */
  #at: Mark | undefined;
  #waiting: Pending[] = [];
  /** The end of what was begun on the connection. */
  #turn: Promise<unknown> = Promise.resolve();
  #listener: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #retryMs = SHORTEST_RETRY_MS;
  /** Why there is no connection. */
  #awayReason: string | undefined;
  #isLooking = false;
  #closed = false;

  /**
   * Opens the database, and makes its tables when they are not there.
   *
   * @throws Error that says what to do: not reachable, no rights, made by a newer Sluice, another encryption key
   */
  static async open(address: DatabaseAddress, options: PostgresStoreOptions = {}): Promise<PostgresStore> {
    const client = await connect(address, options.answerMs ?? ANSWER_MS);
    try {
      await prepare(client, address, options.keyCheck);
    } catch (error) {
      await client.end().catch(() => {});
      throw error;
    }
    return new PostgresStore(address, client, options);
  }

  private constructor(address: DatabaseAddress, client: Client, options: PostgresStoreOptions) {
    const { log, answerMs = ANSWER_MS } = options;
    this.#address = address;
    this.#answerMs = answerMs;
    this.#log = log ?? { warn: () => {}, info: () => {} };
    this.#use(client);
    this.#schedule(POLL_MS);
  }

  load(): Promise<StoreContent> {
    return this.#inTurn(async (client) => {
      const { at, rows } = await readAll(client);
      this.#at = at;
      return this.#contentOf(at, rows);
    });
  }

  write(change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error('the store is closed'));
      // Throws, and so rejects, when there is no JSON form.
      this.#waiting.push({ change: toRows(change), resolve, reject });
      if (this.#waiting.length > 1) return;
      // What arrives until the connection is free goes into one transaction with it.
      this.#inTurn(async (client) => {
        while (this.#waiting.length > 0) {
          await this.#writeTogether(client, this.#waiting.slice(0, CHANGES_PER_COMMIT));
        }
      }).catch((error: Error) => {
        for (const pending of this.#waiting.splice(0)) pending.reject(error);
      });
    });
  }

  catchUp(take: (step: Change | StoreContent) => void): Promise<void> {
    return this.#inTurn(async (client) => {
      const from = this.#at ?? { revision: 0, id: '' };
      const { at, steps } = await readSteps(client, from.revision);
      if (at.id === from.id) return;
      if (isUnbroken(from, steps, at)) {
        for (const { revision, id, change } of steps) {
          ours(() => take({ revision, removals: change.removals, puts: change.puts.map(fromRow) }));
          this.#at = { revision, id };
        }
        return;
      }
      const all = await readAll(client);
      const content = this.#contentOf(all.at, all.rows);
      ours(() => take(content));
      this.#at = all.at;
    });
  }

  watch(listener: () => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#turn;
    // A database that stands still doesn't say goodbye.
    await Promise.race([this.#client?.end().catch(() => {}), sleep(GOODBYE_MS, undefined, { ref: false })]);
  }

  /** Runs with the connection, when those before have ended with it. */
  #inTurn<T>(run: (client: Client) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the store is closed'));
    const result = this.#turn.then(async () => {
      const client = this.#client;
      // Nobody waits for a database that is away; `#look` finds out when it is back.
      if (client === undefined) {
        throw new StoreAwayError(`${this.#address.shown} is away (${this.#awayReason}); nothing was changed`);
      }
      try {
        return await run(client);
      } catch (error) {
        if (error instanceof OwnFailure) throw error.cause;
        if (isOwn(error) || !isBroken(error)) throw error;
        this.#lose(client, reasonOf(error));
        throw new StoreAwayError(`${this.#address.shown} was lost: ${reasonOf(error)}`);
      }
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  /** One transaction for several Changes; when that fails, each gets its own, so that none takes others with it. */
  async #writeTogether(client: Client, pending: readonly Pending[]): Promise<void> {
    try {
      const outcomes = await this.#transact(client, pending);
      this.#waiting.splice(0, pending.length);
      for (const [index, { resolve, reject }] of pending.entries()) {
        const failure = outcomes[index];
        if (failure === undefined) resolve();
        else reject(failure);
      }
    } catch (error) {
      if (isOwn(error) || isBroken(error)) {
        this.#waiting.splice(0, pending.length);
        const failure = isOwn(error) ? error : this.#unknownOutcome(error);
        for (const { reject } of pending) reject(failure);
        if (!isOwn(error)) throw error;
        return;
      }
      if (pending.length === 1) {
        this.#waiting.shift();
        pending[0].reject(new Error(`nothing was stored: ${reasonOf(error)}`));
        return;
      }
      for (const one of pending) await this.#writeTogether(client, [one]);
    }
  }

  /** Returns for each Change why it alone was left out, or undefined; throws when nothing was kept. */
  async #transact(client: Client, pending: readonly Pending[]): Promise<(Error | undefined)[]> {
    try {
      let at = await beginWriting(client);
      if (this.#at === undefined) this.#at = at;
      if (at.id !== this.#at.id) {
        throw new StoreMovedError(`the store has moved to revision ${at.revision}`);
      }
      const outcomes: (Error | undefined)[] = [];
      const before = at;
      for (const { change } of pending) {
        if (change.revision <= at.revision) {
          const late = `the Change to revision ${change.revision} comes too late: the store is at ${at.revision}`;
          outcomes.push(new Error(late));
          continue;
        }
        at = await apply(client, at, change);
        outcomes.push(undefined);
      }
      if (at === before) await client.query('ROLLBACK');
      else await commit(client, at, this.#name);
      this.#at = at;
      return outcomes;
    } catch (error) {
      if (isOwn(error) || !isBroken(error)) await client.query('ROLLBACK');
      throw refusal(error);
    }
  }

  #unknownOutcome(error: unknown): Error {
    return new StoreAwayError(
      `the connection to ${this.#address.shown} was lost while writing (${reasonOf(error)}); whether the change was kept shows when it is back`,
    );
  }

  #contentOf(at: Mark, rows: readonly Row[]): StoreContent {
    return ours(() => {
      try {
        return { revision: at.revision, resources: rows.map(fromRow) };
      } catch (error) {
        throw new Error(`the database ${this.#address.shown} is damaged (${reasonOf(error)})`);
      }
    });
  }

  // The connection.

  #use(client: Client): void {
    if (this.#closed) return void client.end().catch(() => {});
    this.#client = client;
    this.#retryMs = SHORTEST_RETRY_MS;
    client.on('notification', ({ payload }) => {
      if (payload !== this.#name) this.#listener();
    });
    const onEnd = () => this.#lose(client, 'the connection was closed');
    client.on('error', onEnd);
    client.on('end', onEnd);
    if (this.#awayReason === undefined) return;
    this.#awayReason = undefined;
    this.#log.info(`the store ${this.#address.shown} is back, and takes writes again`);
    this.#listener();
  }

  #lose(client: Client, reason: string): void {
    if (this.#client !== client || this.#closed) return;
    this.#client = undefined;
    void client.end().catch(() => {});
    this.#noteAway(reason);
    this.#schedule(SHORTEST_RETRY_MS);
  }

  #noteAway(reason: string): void {
    if (this.#awayReason !== undefined || this.#closed) return;
    this.#awayReason = reason;
    this.#log.warn(
      `the store ${this.#address.shown} is away: ${reason}; traffic goes on, writes are refused until it is back`,
    );
  }

  #schedule(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#look(), milliseconds);
    this.#timer.unref();
  }

  /** Looks whether others have written, which also shows whether the connection still is one. */
  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      if (this.#client === undefined) this.#use(await connect(this.#address, this.#answerMs));
      const { id } = await this.#inTurn(readMark);
      if (this.#at !== undefined && id !== this.#at.id) this.#listener();
      this.#schedule(POLL_MS);
    } catch {
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
      // Several processes must not come back at the same moments.
      this.#schedule(this.#retryMs * (0.5 + Math.random() / 2));
    } finally {
      this.#isLooking = false;
    }
  }
}

async function prepare(client: Client, { shown }: DatabaseAddress, keyCheck?: string): Promise<void> {
  const { rows } = await client.query('SHOW server_encoding');
  if (rows[0].server_encoding !== 'UTF8') {
    throw new Error(
      `the database ${shown} has the encoding ${rows[0].server_encoding}; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
    );
  }
  try {
    await migrate(client, shown);
  } catch (error) {
    if (sqlStateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    throw new Error(
      `the tables can't be made or used in ${shown}: ${reasonOf(error)}; grant CREATE on the schema, and the tables sluice_* , to this user`,
    );
  }
  if (keyCheck !== undefined && (await agreeOnKey(client, keyCheck)) !== keyCheck) {
    throw new Error(
      `the secrets in ${shown} are encrypted with another key; give every control plane the same SLUICE_ENCRYPTION_KEY`,
    );
  }
}

/** PostgreSQL 17, appendix A. */
const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';

/** Whether every step from the one to the other is there. */
function isUnbroken(from: Mark, steps: readonly Step[], to: Mark): boolean {
  let id = from.id;
  for (const step of steps) {
    if (step.previousId !== id) return false;
    id = step.id;
  }
  return id === to.id;
}

/** Whether this module made an error, so that the connection has nothing to do with it. */
function isOwn(error: unknown): error is StoreMovedError | StoreAwayError {
  return error instanceof StoreMovedError || error instanceof StoreAwayError;
}

/** An error that would meet the next Change as well: rights, space, a lock that nobody gives up. */
function refusal(error: unknown): unknown {
  const state = sqlStateOf(error);
  if (state === undefined || isBroken(error)) return error;
  if (state === LOCK_NOT_AVAILABLE) {
    return new StoreAwayError('nothing was stored: another process keeps the store busy');
  }
  return state === INSUFFICIENT_PRIVILEGE || state.startsWith('53')
    ? new StoreAwayError(`nothing was stored: ${reasonOf(error)}`)
    : error;
}

/** A failure in what this process does, which says nothing about the connection. */
class OwnFailure extends Error {}

function ours<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new OwnFailure('', { cause: error });
  }
}
