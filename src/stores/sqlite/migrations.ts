import type { DatabaseSync } from 'node:sqlite';

/** Marks a SQLite file as Sluice's: "SLUI" in its header. */
export const APPLICATION_ID = 0x53_4c_55_49;

/**
 * The n-th leads from schema version n to n + 1. What was released stays as it is: databases that
 * went through it exist.
 *
 * A resource keeps its place (`sequence`) when it is replaced, so that a Store gives resources back
 * in the order in which a Snapshot holds them. `expires_at` may have a fraction: a `ttl` can be any number.
 */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   INSERT INTO meta VALUES ('revision', 0);
   CREATE TABLE resource (
     sequence INTEGER PRIMARY KEY,
     kind TEXT NOT NULL,
     id TEXT NOT NULL,
     workspace TEXT NOT NULL,
     created_revision INTEGER NOT NULL,
     modified_revision INTEGER NOT NULL,
     expires_at REAL,
     value TEXT NOT NULL,
     UNIQUE (kind, id)
   ) STRICT;`,
];

/**
 * Brings the schema up to date, each step whole or not at all.
 *
 * @throws when a newer Sluice made the schema
 */
export function migrate(database: DatabaseSync, migrations: readonly string[] = MIGRATIONS): void {
  const version = pragma(database, 'user_version');
  if (version > migrations.length) {
    throw new Error(
      `the database ${database.location()} was made by a newer Sluice (its schema is version ${version}, this Sluice knows up to ${migrations.length}); start that one, or restore a backup made by this one`,
    );
  }
  for (let next = version; next < migrations.length; next++) {
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(migrations[next]);
      database.exec(`PRAGMA user_version = ${next + 1}`);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }
}

/** A pragma whose answer is one number. */
export function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
