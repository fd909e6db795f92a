import { chmodSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { placeFile } from '../../lib/place-file.ts';
import type { Revision } from '../../model/resource.ts';
import type { ChangeRows, Row } from '../row.ts';
import { DATABASE_FILE, damaged, hasDatabase } from './database-file.ts';
import { APPLICATION_ID, migrate, pragma } from './migrations.ts';

export interface DatabaseLimits {
  /** Pages of 4 KiB that the database may have at most; a Change that needs more is refused. */
  readonly maxPages?: number;
}

/** How long to wait for a predecessor that is just closing. */
const BUSY_TIMEOUT_MS = 250;

/**
 * The content is in memory elsewhere, so the page cache only serves the upper pages of the trees. A
 * log of 1 MiB is as fast as SQLite's usual 4 MiB, and takes less of a disk that is nearly full.
 */
const TUNING = `
  PRAGMA cache_size = -256;
  PRAGMA temp_store = MEMORY;
  PRAGMA wal_autocheckpoint = 250;
  PRAGMA journal_size_limit = 1048576`;

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const BUSY = 5;
const CORRUPT = 11;
const FULL = 13;
const NOT_A_DATABASE = 26;

/** The database of a data directory, synchronous: it belongs into a thread of its own. */
export class Database {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #setRevision: StatementSync;
  #revision: Revision;

  /** @throws Error that says what to do: in use, damaged, made by a newer Sluice, not writable */
  static open(directory: string, limits: DatabaseLimits = {}): Database {
    const file = path.join(directory, DATABASE_FILE);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!hasDatabase(file)) create(file);
    // Never by opening it: closing any descriptor of a file drops the process's locks on it.
    chmodSync(file, 0o600);
    const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      check(database, file);
      migrate(database);
      database.exec(TUNING);
      if (limits.maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${limits.maxPages}`);
      return new Database(database);
    } catch (error) {
      database.close();
      throw explainOpening(error, file);
    }
  }

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.#put = database.prepare(
      `INSERT INTO resource (kind, id, workspace, created_revision, modified_revision, expires_at, value)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (kind, id) DO UPDATE SET workspace = excluded.workspace,
         created_revision = excluded.created_revision, modified_revision = excluded.modified_revision,
         expires_at = excluded.expires_at, value = excluded.value`,
    );
    this.#remove = database.prepare('DELETE FROM resource WHERE kind = ? AND id = ?');
    this.#setRevision = database.prepare("UPDATE meta SET value = ? WHERE name = 'revision'");
    const revision = database.prepare("SELECT value FROM meta WHERE name = 'revision'").get()?.value;
    if (typeof revision !== 'number') throw damaged(database.location() ?? '', 'it has no revision');
    this.#revision = revision;
  }

  /** The revision of the last Change that was committed. */
  get revision(): Revision {
    return this.#revision;
  }

  /** All resources in the order of their creation, read while iterating. */
  rows(): Iterable<Row> {
    const statement = this.#database.prepare(
      `SELECT kind, id, workspace, created_revision, modified_revision, expires_at, value
       FROM resource ORDER BY sequence`,
    );
    statement.setReturnArrays(true);
    // The columns are as selected, which the types of node:sqlite can't know.
    return statement.iterate() as Iterable<unknown> as Iterable<Row>;
  }

  /**
   * Commits Changes in their order, durably when it returns.
   *
   * All share one transaction, so that they wait for the disk once. When that fails, each gets its
   * own, so that one which can't be kept takes no other with it.
   *
   * @returns for each Change why nothing of it was kept, or undefined
   */
  commit(changes: readonly ChangeRows[]): (string | undefined)[] {
    const failure = this.#transact(changes);
    if (failure === undefined || changes.length === 1) return changes.map(() => failure);
    return changes.map((change) => this.#transact([change]));
  }

  close(): void {
    this.#database.close();
  }

  /** One transaction; returns why it was undone. */
  #transact(changes: readonly ChangeRows[]): string | undefined {
    const database = this.#database;
    const before = this.#revision;
    try {
      database.exec('BEGIN IMMEDIATE');
      for (const change of changes) this.#apply(change);
      database.exec('COMMIT');
      return undefined;
    } catch (error) {
      this.#revision = before;
      this.#undo();
      return explainWriting(error);
    }
  }

  #apply({ revision, puts, removals }: ChangeRows): void {
    if (revision <= this.#revision) {
      throw new Error(`the Change to revision ${revision} comes too late: the store is at ${this.#revision}`);
    }
    // The order of Snapshot.apply.
    for (const { kind, id } of removals) this.#remove.run(kind, id);
    for (const row of puts) this.#put.run(...row);
    this.#setRevision.run(revision);
    this.#revision = revision;
  }

  #undo(): void {
    // Some failures, a full disk among them, make SQLite roll back by itself.
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    try {
      // A commit may have failed after it was complete in the log's file; emptying the log makes sure
      // that no crash brings it back. It also gives space back.
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // No space for that either: the next commit overwrites the same place.
    }
  }
}

/** Makes an empty database that appears under its name only when it is complete. */
function create(file: string): void {
  const temporary = `${file}.${process.pid}.new`;
  const remains = ['', '-wal', '-shm', '-journal'].map((end) => temporary + end);
  for (const one of remains) rmSync(one, { force: true });
  try {
    // SQLite would make it readable by all; its log inherits the mode.
    closeSync(openSync(temporary, 'wx', 0o600));
    const database = new DatabaseSync(temporary);
    try {
      database.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA application_id = ${APPLICATION_ID}`,
      );
      migrate(database);
    } finally {
      database.close();
    }
    // Whoever was faster made the same.
    placeFile(temporary, file);
  } finally {
    for (const one of remains) rmSync(one, { force: true });
  }
}

/** Takes the lock and looks at the file before anything is written to it. */
function check(database: DatabaseSync, file: string): void {
  // The operating system drops this lock with the process, however that ends. It also keeps the
  // log's index in private memory rather than in a mapped file, which is faster.
  database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL');
  const application = pragma(database, 'application_id');
  if (application !== APPLICATION_ID)
    throw new Error(`${file} is not a database of Sluice; choose another data directory`);
  const problem = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (problem !== 'ok') throw damaged(file, String(problem).replaceAll('\n', ', '));
  database.exec('PRAGMA journal_mode = WAL');
}

/** The primary result code of an error of node:sqlite, which has the extended one. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined;
  return error.errcode & 0xff;
}

function explainOpening(error: unknown, file: string): unknown {
  const code = resultCode(error);
  if (code === undefined || !(error instanceof Error)) return error;
  if (code === BUSY) {
    const folder = path.dirname(file);
    return new Error(
      `the data directory ${folder} is in use by another process; end that one or choose another directory`,
    );
  }
  if (code === CORRUPT || code === NOT_A_DATABASE) return damaged(file, error.message);
  return new Error(`can't open the database ${file}: ${error.message}`, { cause: error });
}

function explainWriting(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (resultCode(error) === FULL) return `nothing was stored, because the disk is full (${message})`;
  return `nothing was stored: ${message}`;
}
