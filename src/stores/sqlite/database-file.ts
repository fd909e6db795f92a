import { existsSync, statSync } from 'node:fs';
import path from 'node:path';

/** The database's name in the data directory. */
export const DATABASE_FILE = 'sluice.db';

/** What to say about a database that can't be trusted; it is never repaired or replaced by itself. */
export function damaged(file: string, detail: string): Error {
  return new Error(
    `the database ${file} is damaged (${detail}); nothing was changed. Restore it from a backup, together with removing ${path.basename(file)}-wal, or move it away to start empty`,
  );
}

/**
 * Whether there is a database in the directory.
 *
 * A database is created under another name and placed when complete, so an empty one, and a
 * write-ahead log without one, are what is left of something else. SQLite would begin an empty
 * database in the first case and replay a stranger's log into the new database in the second.
 *
 * @throws when only remains are there
 */
export function hasDatabase(file: string): boolean {
  const size = sizeOf(file);
  if (size === 0) throw damaged(file, 'it is empty');
  if (size !== undefined) return true;
  for (const rest of [`${file}-wal`, `${file}-journal`]) {
    if ((sizeOf(rest) ?? 0) > 0) throw damaged(file, `it is missing, but ${path.basename(rest)} is there`);
  }
  return false;
}

/** Whether a directory has held a database, complete or not. */
export function hasDatabaseRemains(directory: string): boolean {
  const file = path.join(directory, DATABASE_FILE);
  return existsSync(file) || existsSync(`${file}-wal`);
}

function sizeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size;
}
