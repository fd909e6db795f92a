// The thread that owns the database: node:sqlite is synchronous, and each commit waits for the disk.

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { Revision } from '../../model/resource.ts';
import type { ChangeRows, Row } from '../row.ts';
import { Database, type DatabaseLimits } from './database.ts';

export interface ThreadStart {
  readonly directory: string;
  readonly limits: DatabaseLimits;
}

export type ToThread =
  | { readonly type: 'load' }
  | { readonly type: 'write'; readonly change: ChangeRows }
  | { readonly type: 'close' };

export type FromThread =
  | { readonly type: 'opened' }
  | { readonly type: 'rows'; readonly rows: readonly Row[] }
  | { readonly type: 'loaded'; readonly revision: Revision }
  /** The outcome of the next Changes, in the order in which they were sent: why nothing was kept, or undefined. */
  | { readonly type: 'written'; readonly failures: readonly (string | undefined)[] };

/** Rows in one message: enough to make messages cheap, few enough to keep this thread small. */
const ROWS_PER_MESSAGE = 500;
/** Changes that wait for the disk together; more would let the first wait for too many others. */
const CHANGES_PER_COMMIT = 256;

const port = parentPort!;
const { directory, limits } = workerData as ThreadStart;
const database = Database.open(directory, limits);

port.on('message', (first: ToThread) => {
  const changes: ChangeRows[] = [];
  // What arrived while the last commit waited for the disk goes into the next one together.
  for (let message: ToThread | undefined = first; message !== undefined; message = next()) {
    if (message.type === 'write') {
      changes.push(message.change);
      if (changes.length === CHANGES_PER_COMMIT) commit(changes);
      continue;
    }
    commit(changes);
    if (message.type === 'load') load();
    else close();
  }
  commit(changes);
});
send({ type: 'opened' });

function next(): ToThread | undefined {
  return receiveMessageOnPort(port)?.message;
}

function commit(changes: ChangeRows[]): void {
  if (changes.length === 0) return;
  send({ type: 'written', failures: database.commit(changes) });
  changes.length = 0;
}

function load(): void {
  let rows: Row[] = [];
  for (const row of database.rows()) {
    rows.push(row);
    if (rows.length < ROWS_PER_MESSAGE) continue;
    send({ type: 'rows', rows });
    rows = [];
  }
  send({ type: 'rows', rows });
  send({ type: 'loaded', revision: database.revision });
}

function close(): void {
  database.close();
  // Nothing is left to wait for, and the thread ends.
  port.close();
}

function send(message: FromThread): void {
  port.postMessage(message);
}
