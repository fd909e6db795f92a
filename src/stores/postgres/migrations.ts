import type { Client } from 'pg';

/**
 * The n-th leads from schema version n to n + 1. What was released stays as it is: databases that
 * went through it exist.
 *
 * `sluice_change` keeps the latest Changes, so that others can follow step by step; each names the
 * one before it, so that none can be missed. A resource keeps its place (`sequence`) when it is
 * replaced, so that a Store gives resources back in the order in which a Snapshot holds them.
 */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE sluice_state (
     one boolean PRIMARY KEY DEFAULT true CHECK (one),
     schema integer NOT NULL,
     revision bigint NOT NULL,
     change_id uuid NOT NULL,
     key_check text
   );
   INSERT INTO sluice_state (schema, revision, change_id) VALUES (0, 0, gen_random_uuid());
   CREATE TABLE sluice_resource (
     sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     kind text COLLATE "C" NOT NULL,
     id text COLLATE "C" NOT NULL,
     workspace text NOT NULL,
     created_revision bigint NOT NULL,
     modified_revision bigint NOT NULL,
     expires_at double precision,
     value text NOT NULL,
     UNIQUE (kind, id)
   );
   CREATE TABLE sluice_change (
     revision bigint PRIMARY KEY,
     id uuid NOT NULL,
     previous_id uuid NOT NULL,
     change text NOT NULL,
     written_at timestamptz NOT NULL DEFAULT now()
   );`,
];

/** Keeps two that start at once from making the tables twice: "SLUI" and "CE" as numbers. */
const LOCK = [0x53_4c_55_49, 0x43_45].join(', ');

/**
 * Brings the schema up to date, whole or not at all.
 *
 * @throws when a newer Sluice made the schema
 */
export async function migrate(client: Client, shown: string): Promise<void> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  try {
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
    const { rows: found } = await client.query("SELECT to_regclass('sluice_state') AS name");
    const version = found[0].name === null ? 0 : await versionOf(client);
    if (version > MIGRATIONS.length) {
      throw new Error(
        `the database ${shown} was made by a newer Sluice (its schema is version ${version}, this Sluice knows up to ${MIGRATIONS.length}); start that one, or restore a backup made by this one`,
      );
    }
    for (let next = version; next < MIGRATIONS.length; next++) {
      await client.query(MIGRATIONS[next]);
      await client.query(`UPDATE sluice_state SET schema = ${next + 1}`);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function versionOf(client: Client): Promise<number> {
  const { rows } = await client.query('SELECT schema FROM sluice_state');
  return rows[0].schema;
}
