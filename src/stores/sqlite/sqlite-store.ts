import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Change } from '../../model/change.ts';
import type { Resource } from '../../model/resource.ts';
import type { Store, StoreContent } from '../../model/store.ts';
import { fromRow, type Row, toRows } from '../row.ts';
import type { DatabaseLimits } from './database.ts';
import { DATABASE_FILE, damaged } from './database-file.ts';
import type { FromThread, ThreadStart, ToThread } from './sqlite-thread.ts';

interface Pending<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** Keeps resources in a SQLite database of its own thread; one process per directory. */
export class SqliteStore implements Store {
  readonly #file: string;
  readonly #thread: Worker;
  /** In the order in which the thread answers. */
  readonly #writes: Pending<void>[] = [];
  #loading: (Pending<StoreContent> & { readonly resources: Resource[] }) | undefined;
  /** Why no call can succeed any more. */
  #end: Error | undefined;

  /**
   * Opens the database in a directory, and makes both when they are not there.
   *
   * @throws Error that says what to do: in use, damaged, made by a newer Sluice, not writable
   */
  static async open(directory: string, limits: DatabaseLimits = {}): Promise<SqliteStore> {
    const start: ThreadStart = { directory: path.resolve(directory), limits };
    const thread = new Worker(new URL('./sqlite-thread.ts', import.meta.url), {
      name: 'sqlite',
      workerData: start,
      // On the oldest supported Node, node:sqlite still announces that it may change.
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    // The first message says that the database is open; an error before that rejects.
    await once(thread, 'message');
    return new SqliteStore(start.directory, thread);
  }

  private constructor(directory: string, thread: Worker) {
    this.#file = path.join(directory, DATABASE_FILE);
    this.#thread = thread;
    thread.on('message', (message: FromThread) => this.#onMessage(message));
    thread.on('error', (error) =>
      this.#fail(new Error(`the store failed: ${messageOf(error)}`, { cause: error })),
    );
    thread.on('exit', () => this.#fail(new Error('the store is closed')));
  }

  load(): Promise<StoreContent> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      this.#loading = { resolve, reject, resources: [] };
      this.#send({ type: 'load' });
    });
  }

  write(change: Change): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      // Throws, and so rejects, when there is no JSON form.
      this.#send({ type: 'write', change: toRows(change) });
      this.#writes.push({ resolve, reject });
    });
  }

  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    this.#send({ type: 'close' });
    this.#end = new Error('the store is closed');
    await once(this.#thread, 'exit');
  }

  #onMessage(message: FromThread): void {
    switch (message.type) {
      case 'written':
        for (const failure of message.failures) {
          const write = this.#writes.shift();
          if (failure === undefined) write?.resolve();
          else write?.reject(new Error(failure));
        }
        return;
      case 'rows':
        this.#addRows(message.rows);
        return;
      case 'loaded':
        this.#loading?.resolve({ revision: message.revision, resources: this.#loading.resources });
        this.#loading = undefined;
    }
  }

  #addRows(rows: readonly Row[]): void {
    const loading = this.#loading;
    if (loading === undefined) return;
    try {
      for (const row of rows) loading.resources.push(fromRow(row));
    } catch (error) {
      this.#loading = undefined;
      loading.reject(damaged(this.#file, messageOf(error)));
    }
  }

  /** The thread has ended. What it had not answered may or may not be stored; the next start shows. */
  #fail(error: Error): void {
    this.#end ??= error;
    this.#loading?.reject(this.#end);
    this.#loading = undefined;
    for (const { reject } of this.#writes.splice(0)) reject(this.#end);
  }

  #send(message: ToThread): void {
    this.#thread.postMessage(message);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
