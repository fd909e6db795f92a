// What is asked of the database. Every function is one round trip; the caller sees to transactions.

import { randomUUID } from 'node:crypto';
import type { Client, QueryResult } from 'pg';
import type { Revision } from '../../model/resource.ts';
import type { ChangeRows, Row } from '../row.ts';
import { READ_ALL_MS } from './connecting.ts';

/** The place of a Change in the one order of all of them; the id tells histories apart, as after a restored backup. */
export interface Mark {
  readonly revision: Revision;
  readonly id: string;
}

/** A Change as the database keeps it for those who follow. */
export interface Step extends Mark {
  readonly previousId: string;
  readonly change: ChangeRows;
}

/** So many revisions back, a Store can follow step by step; one that is further behind loads everything. */
const KEPT_REVISIONS = 1_000;

/** Takes the lock that gives all writers one order, and tells where the database stands. */
export async function beginWriting(client: Client): Promise<Mark> {
  const results = await severalResults(
    client,
    'BEGIN ISOLATION LEVEL READ COMMITTED; SELECT revision, change_id FROM sluice_state FOR UPDATE',
  );
  return markOf(results[1].rows[0]);
}

/** Applies a Change within a transaction, in the order of Snapshot.apply. */
export async function apply(client: Client, at: Mark, change: ChangeRows): Promise<Mark> {
  const next = { revision: change.revision, id: randomUUID() };
  const { removals, puts } = change;
  if (removals.length > 0) {
    await client.query(
      `DELETE FROM sluice_resource AS resource USING unnest($1::text[], $2::text[]) AS gone (kind, id)
       WHERE resource.kind = gone.kind AND resource.id = gone.id`,
      [removals.map(({ kind }) => kind), removals.map(({ id }) => id)],
    );
  }
  if (puts.length > 0) await client.query(PUT, columnsOf(lastOfEach(puts)));
  await client.query(
    'INSERT INTO sluice_change (revision, id, previous_id, change) VALUES ($1, $2, $3, $4)',
    [next.revision, next.id, at.id, JSON.stringify({ puts, removals })],
  );
  return next;
}

const PUT = `
  INSERT INTO sluice_resource (kind, id, workspace, created_revision, modified_revision, expires_at, value)
  SELECT kind, id, workspace, created_revision, modified_revision, expires_at, value
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::float8[], $7::text[])
    WITH ORDINALITY AS put (kind, id, workspace, created_revision, modified_revision, expires_at, value, place)
  ORDER BY place
  ON CONFLICT (kind, id) DO UPDATE SET workspace = excluded.workspace,
    created_revision = excluded.created_revision, modified_revision = excluded.modified_revision,
    expires_at = excluded.expires_at, value = excluded.value`;

/** Ends a transaction that moves to a mark, durably, and tells everyone who listens; `from` is a UUID. */
export async function commit(client: Client, { revision, id }: Mark, from: string): Promise<void> {
  await client.query(
    `UPDATE sluice_state SET revision = ${revision}, change_id = '${id}';
     DELETE FROM sluice_change WHERE revision <= ${revision - KEPT_REVISIONS};
     SELECT pg_notify('sluice', '${from}');
     COMMIT`,
  );
}

/** Everything, as it was at one moment. */
export async function readAll(client: Client): Promise<{ readonly at: Mark; readonly rows: readonly Row[] }> {
  const results = await severalResults(
    client,
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
     SELECT revision, change_id FROM sluice_state;
     SELECT kind, id, workspace, created_revision, modified_revision, expires_at, value
       FROM sluice_resource ORDER BY sequence;
     COMMIT`,
    READ_ALL_MS,
  );
  const rows = results[2].rows.map(
    (row): Row => [
      row.kind,
      row.id,
      row.workspace,
      Number(row.created_revision),
      Number(row.modified_revision),
      row.expires_at,
      row.value,
    ],
  );
  return { at: markOf(results[1].rows[0]), rows };
}

/** Where the database stands. */
export async function readMark(client: Client): Promise<Mark> {
  const { rows } = await client.query('SELECT revision, change_id FROM sluice_state');
  return markOf(rows[0]);
}

/** The steps after a revision that are still kept, and where the database stands, as of one moment. */
export async function readSteps(
  client: Client,
  after: Revision,
): Promise<{ readonly at: Mark; readonly steps: readonly Step[] }> {
  const { rows } = await client.query(
    `SELECT state.revision, state.change_id, step.revision AS step_revision, step.id, step.previous_id, step.change
     FROM sluice_state AS state LEFT JOIN sluice_change AS step ON step.revision > $1 ORDER BY step.revision`,
    [after],
  );
  const steps = rows
    .filter(({ id }) => id !== null)
    .map(({ step_revision, id, previous_id, change }): Step => {
      const revision = Number(step_revision);
      const { puts, removals } = JSON.parse(change) as Omit<ChangeRows, 'revision'>;
      return { revision, id, previousId: previous_id, change: { revision, puts, removals } };
    });
  return { at: markOf(rows[0]), steps };
}

/** Leaves a text in the database if there is none, and tells which is there. */
export async function agreeOnKey(client: Client, keyCheck: string): Promise<string> {
  const { rows } = await client.query(
    'UPDATE sluice_state SET key_check = COALESCE(key_check, $1) RETURNING key_check',
    [keyCheck],
  );
  return rows[0].key_check;
}

function markOf(row: { readonly revision: string; readonly change_id: string }): Mark {
  return { revision: Number(row.revision), id: row.change_id };
}

/** As a Map has them: in the place of the first, with the content of the last. */
function lastOfEach(rows: readonly Row[]): Row[] {
  return [...new Map(rows.map((row) => [JSON.stringify([row[0], row[1]]), row])).values()];
}

function columnsOf(rows: readonly Row[]): unknown[][] {
  return Array.from({ length: 7 }, (_, column) => rows.map((row) => row[column]));
}

/** Sends several statements at once. */
async function severalResults(client: Client, text: string, timeout?: number): Promise<QueryResult[]> {
  // Of several statements without parameters pg gives a list, which its types don't say; nor do they
  // know that a query may have a time of its own.
  const query = { text, ...(timeout !== undefined && { query_timeout: timeout }) };
  return (await client.query(query)) as unknown as QueryResult[];
}
