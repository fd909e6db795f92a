import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, test } from 'node:test';
import { change, resource, storeConformance } from '../store.conformance.ts';
import { DATABASE_FILE } from './database-file.ts';
import { migrate, pragma } from './migrations.ts';
import { SqliteStore } from './sqlite-store.ts';

function folder(): string {
  return mkdtempSync(path.join(tmpdir(), 'sluice-sqlite-'));
}

const opened: SqliteStore[] = [];
const started: ChildProcess[] = [];

/** Opens a Store that is closed after the test, even when it fails and the thread would keep its process alive. */
async function open(...options: Parameters<typeof SqliteStore.open>): Promise<SqliteStore> {
  const store = await SqliteStore.open(...options);
  opened.push(store);
  return store;
}

afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
  for (const store of opened.splice(0)) await store.close();
});

storeConformance('SqliteStore', async () => {
  const directory = folder();
  return {
    open: () => SqliteStore.open(directory),
    remove: async () => rmSync(directory, { recursive: true }),
  };
});

/** Runs with the directory of a database that holds one Route, and its file. */
function withDatabase(name: string, run: (directory: string, file: string) => Promise<void>): void {
  test(name, async () => {
    const directory = folder();
    try {
      const store = await open(directory);
      await store.write(change(1, [resource(1, 'a')]));
      await store.close();
      await run(directory, path.join(directory, DATABASE_FILE));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

/** Expects that opening is refused, and that the refusal changes nothing. */
async function refuses(directory: string, message: RegExp): Promise<void> {
  const file = path.join(directory, DATABASE_FILE);
  const before = existsSync(file) ? readFileSync(file) : undefined;
  await assert.rejects(open(directory), { message });
  assert.deepEqual(existsSync(file) ? readFileSync(file) : undefined, before);
}

/** Starts a program that opens the Store and holds it until it is killed. */
async function holder(directory: string) {
  const program = `
    import { SqliteStore } from ${JSON.stringify(new URL('./sqlite-store.ts', import.meta.url).href)};
    const store = await SqliteStore.open(${JSON.stringify(directory)});
    await store.write({ revision: 2, puts: [], removals: [] });
    console.log('open');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  started.push(child);
  await once(child.stdout, 'data');
  return child;
}

test('keeps its files from other users', async () => {
  const parent = folder();
  const directory = path.join(parent, 'deep', 'data');
  const store = await open(directory);
  await store.write(change(1, [resource(1, 'a')]));
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  for (const end of ['', '-wal']) {
    assert.equal(statSync(path.join(directory, DATABASE_FILE + end)).mode & 0o777, 0o600);
  }
  await store.close();
  rmSync(parent, { recursive: true });
});

withDatabase(
  'refuses a directory that another process has open, and takes it once that was killed',
  async (directory) => {
    const child = await holder(directory);
    await assert.rejects(open(directory), { message: /in use by another process/ });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = await open(directory);
    assert.equal((await store.load()).revision, 2);
    await store.close();
  },
);

withDatabase(
  'refuses a directory that this process has open, which goes on undisturbed',
  async (directory) => {
    const store = await open(directory);
    await assert.rejects(open(directory), { message: /in use by another process/ });
    await store.write(change(2, [resource(2, 'b')]));
    await assert.rejects(open(directory), { message: /in use by another process/ });
    assert.equal((await store.load()).resources.length, 2);
    await store.close();
  },
);

withDatabase('refuses a database whose header is damaged', async (directory, file) => {
  const bytes = readFileSync(file);
  bytes.fill(0x55, 0, 64);
  writeFileSync(file, bytes);
  await refuses(directory, /is damaged/);
});

withDatabase('refuses a database of which a page is damaged', async (directory, file) => {
  const store = await open(directory);
  await store.write(
    change(
      2,
      Array.from({ length: 500 }, (_, index) => resource(2, `${index}`)),
    ),
  );
  await store.close();
  const bytes = readFileSync(file);
  // Whatever page it is, its header no longer describes it.
  for (let page = 3; page < bytes.length / 4096; page += 4) bytes.fill(0xff, page * 4096, page * 4096 + 100);
  writeFileSync(file, bytes);
  await refuses(directory, /is damaged/);
});

withDatabase('refuses a database that was cut off', async (directory, file) => {
  truncateSync(file, 4096);
  await refuses(directory, /is damaged/);
});

withDatabase('refuses an empty file rather than filling it', async (directory, file) => {
  truncateSync(file, 0);
  await refuses(directory, /is damaged \(it is empty\)/);
});

withDatabase("refuses to start anew beside a lost database's log", async (directory, file) => {
  const child = await holder(directory);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(statSync(`${file}-wal`).size > 0);
  rmSync(file);
  await refuses(directory, /is damaged \(it is missing/);
});

withDatabase('names the resource whose value is unreadable, not the value', async (directory, file) => {
  const database = new DatabaseSync(file);
  database.exec(`UPDATE resource SET value = '{"key": "secret'`);
  database.close();
  const store = await open(directory);
  await assert.rejects(store.load(), (error: Error) => {
    assert.match(error.message, /is damaged \(the value of routes\/a is no JSON object\)/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  await store.close();
});

withDatabase("refuses another program's database", async (directory, file) => {
  rmSync(file);
  const database = new DatabaseSync(file);
  database.exec('CREATE TABLE resource (x)');
  database.close();
  await refuses(directory, /is not a database of Sluice/);
});

withDatabase('refuses a database of a newer schema', async (directory, file) => {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 999');
  database.close();
  await refuses(directory, /newer Sluice \(its schema is version 999/);
});

test('migrates step by step, and stays at the last whole step when one fails', () => {
  const database = new DatabaseSync(':memory:');
  const first = 'CREATE TABLE a (x); INSERT INTO a VALUES (1)';
  const second = 'ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1';
  migrate(database, [first]);
  assert.throws(() => migrate(database, [first, `${second}; SELECT * FROM nowhere`]));
  assert.equal(pragma(database, 'user_version'), 1);
  assert.deepEqual({ ...database.prepare('SELECT * FROM a').get() }, { x: 1 });
  migrate(database, [first, second]);
  migrate(database, [first, second]);
  assert.equal(pragma(database, 'user_version'), 2);
  assert.deepEqual({ ...database.prepare('SELECT * FROM a').get() }, { x: 1, y: 2 });
  assert.throws(() => migrate(database, [first]), /newer Sluice/);
  database.close();
});

withDatabase('keeps nothing of a Change for which there is no space, and goes on', async (directory) => {
  const large = (revision: number, id: string) =>
    resource(revision, id, { value: { id, text: 'x'.repeat(100_000) } });
  const store = await open(directory, { maxPages: 60 });
  await store.write(change(2, [large(2, 'large')]));
  const outcomes = await Promise.allSettled([
    store.write(change(3, [resource(3, 'b')])),
    store.write(
      change(4, [resource(4, 'half'), large(4, 'c'), large(4, 'd')], [{ kind: 'routes', id: 'a' }]),
    ),
    store.write(change(5, [resource(5, 'e')])),
  ]);
  assert.deepEqual(
    outcomes.map((one) => (one.status === 'rejected' ? one.reason.message.slice(0, 49) : one.status)),
    ['fulfilled', 'nothing was stored, because the disk is full (dat', 'fulfilled'],
  );
  assert.deepEqual(await ids(store), ['a', 'large', 'b', 'e']);
  await store.write(change(6, [], [{ kind: 'routes', id: 'large' }]));
  await store.write(change(7, [large(7, 'f')]));
  await store.close();
  const next = await open(directory);
  assert.deepEqual(await ids(next), ['a', 'b', 'e', 'f']);
  await next.close();
});

withDatabase('can be copied while it is closed, as a backup', async (directory, file) => {
  const other = folder();
  copyFileSync(file, path.join(other, DATABASE_FILE));
  assert.ok(!existsSync(path.join(directory, `${DATABASE_FILE}-wal`)), 'the log is left beside the database');
  const store = await open(other);
  assert.deepEqual(await ids(store), ['a']);
  await store.close();
  assert.equal(statSync(path.join(other, DATABASE_FILE)).mode & 0o777, 0o600);
  rmSync(other, { recursive: true });
});

withDatabase('refuses calls after close, and lets the process end', async (directory) => {
  const program = `
    import { SqliteStore } from ${JSON.stringify(new URL('./sqlite-store.ts', import.meta.url).href)};
    const store = await SqliteStore.open(${JSON.stringify(directory)});
    await store.load();
    await store.close();
    await store.close();
    const change = { revision: 9, puts: [], removals: [] };
    for (const call of [store.write(change), store.load()]) console.log(await call.catch((error) => error.message));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program]);
  child.stdout.setEncoding('utf8');
  let output = '';
  child.stdout.on('data', (text: string) => (output += text));
  child.stderr.pipe(process.stderr);
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(output, 'the store is closed\nthe store is closed\n');
});

async function ids(store: SqliteStore): Promise<string[]> {
  return (await store.load()).resources.map((one) => one.id);
}
