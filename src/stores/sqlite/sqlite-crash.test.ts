// Kills a writing process again and again, and looks at what is left.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { DATABASE_FILE } from './database-file.ts';
import { SqliteStore } from './sqlite-store.ts';

const KILLS = 20;
/** Rows of one Change; the Change after the next but one removes them. */
const ROWS = 5;
const LIVES = 3;

/**
 * Writes from the next revision on, four Changes at a time, and prints each revision when it is
 * acknowledged. Change n puts `n/0` to `n/4`, rewrites `shared/0` to `shared/4`, and removes the
 * rows of Change n - 3.
 */
const PROGRAM = `
  import { SqliteStore } from ${JSON.stringify(new URL('./sqlite-store.ts', import.meta.url).href)};
  const store = await SqliteStore.open(process.argv[1]);
  let { revision: last } = await store.load();
  process.stdout.write('open\\n');
  const rows = (name, revision) =>
    Array.from({ length: ${ROWS} }, (_, index) => ({
      kind: 'routes', id: name + '/' + index, workspace: 'default', createdRevision: revision, modifiedRevision: revision,
      value: { id: name + '/' + index, padding: 'x'.repeat(500 + (revision * 37) % 3000) },
    }));
  async function write() {
    for (;;) {
      const revision = ++last;
      const puts = [...rows(String(revision), revision), ...rows('shared', revision)];
      const removals = rows(String(revision - ${LIVES}), 0).map(({ kind, id }) => ({ kind, id }));
      await store.write({ revision, puts, removals });
      process.stdout.write(revision + '\\n');
    }
  }
  await Promise.all([write(), write(), write(), write()]);
`;

/**
 * Kills a writer so long after it was started (in every fourth life) or has opened the Store, and
 * tells the last revision that it acknowledged.
 */
async function writeAndKill(
  directory: string,
  since: 'start' | 'open',
  afterMs: number,
): Promise<number | undefined> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout?.setEncoding('utf8');
  if (since === 'start') setTimeout(() => child.kill('SIGKILL'), afterMs);
  child.stdout?.on('data', (text: string) => {
    if (since === 'open' && output === '') setTimeout(() => child.kill('SIGKILL'), afterMs);
    output += text;
  });
  const [, signal] = await once(child, 'close');
  assert.equal(signal, 'SIGKILL', 'the writer ended by itself');
  // A line that was cut off says nothing.
  const acknowledged = output.split('\n').slice(1, -1).map(Number);
  assert.deepEqual(
    acknowledged,
    acknowledged.toSorted((a, b) => a - b),
  );
  return acknowledged.at(-1);
}

/** Asserts that the rows are what exactly the Changes up to the revision leave. */
async function assertWhole(directory: string): Promise<number> {
  const store = await SqliteStore.open(directory);
  const { revision, resources } = await store.load();
  await store.close();
  const found = resources.map((one) => `${one.id} of ${one.modifiedRevision}`).sort();
  const expected: string[] = [];
  for (let index = 0; index < ROWS && revision > 0; index++) {
    expected.push(`shared/${index} of ${revision}`);
    for (let one = Math.max(1, revision - LIVES + 1); one <= revision; one++)
      expected.push(`${one}/${index} of ${one}`);
  }
  assert.deepEqual(found, expected.sort());
  return revision;
}

test(`loses nothing acknowledged and halves nothing when its process is killed ${KILLS} times`, async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sluice-crash-'));
  let acknowledged = 0;
  let before = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    // Opening takes about 100 ms to 200 ms, and the first time it makes the database.
    const last =
      kill % 4 === 0
        ? await writeAndKill(directory, 'start', 50 + Math.random() * 150)
        : await writeAndKill(directory, 'open', Math.random() * 100);
    acknowledged = last ?? acknowledged;
    const revision = await assertWhole(directory);
    assert.ok(revision >= acknowledged, `revision ${revision} is left, but ${acknowledged} was acknowledged`);
    assert.ok(revision >= before);
    before = revision;
  }
  assert.ok(acknowledged > KILLS, 'hardly anything was written');
  const database = new DatabaseSync(path.join(directory, DATABASE_FILE), { readOnly: true });
  assert.equal(database.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
  database.close();
  rmSync(directory, { recursive: true });
});
