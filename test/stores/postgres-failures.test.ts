// What becomes of a PostgresStore when the database or the process ends.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { StoreAwayError } from '../../src/model/store.ts';
import { parseDatabaseAddress } from '../../src/stores/postgres/database-address.ts';
import { PostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/postgres-store.ts';
import { change, resource } from '../../src/stores/store.conformance.ts';
import { eventually } from '../support/eventually.ts';
import { PostgresServer } from '../support/postgres-server.ts';

const server = await PostgresServer.start({ after });

const opened: PostgresStore[] = [];
after(async () => {
  for (const store of opened) await store.close();
});

async function open(address: string, options?: PostgresStoreOptions): Promise<PostgresStore> {
  const store = await PostgresStore.open(parseDatabaseAddress(address), options);
  opened.push(store);
  return store;
}

test('writes durably whatever the role is set to', async () => {
  const address = await server.database();
  await server.query(address, `ALTER DATABASE ${address.split('/').at(-1)} SET synchronous_commit = off`);
  const store = await open(address);
  await store.write(change(1, [resource(1, 'a')]));
  // An asynchronous commit is lost with a crash that follows at once.
  await server.stop('SIGQUIT');
  await server.start();
  await eventually('the Store is back', async () => (await store.load()).resources.length === 1);
});

test('refuses writes while the database is away, and goes on by itself when it is back', async () => {
  const address = await server.database();
  const log: string[] = [];
  const say = (message: string) => void log.push(message);
  const [left, right] = [await open(address, { log: { warn: say, info: say } }), await open(address)];
  for (const store of [left, right]) await store.load();
  await left.write(change(1, [resource(1, 'a')]));
  await right.catchUp(() => {});
  await server.stop();
  for (let attempt = 0; attempt < 2; attempt++) {
    await assert.rejects(left.write(change(2, [resource(2, 'b')])), (error: Error) => {
      assert.ok(error instanceof StoreAwayError);
      assert.match(
        error.message,
        /^postgres:\/\/sluice@127\.0\.0\.1:\d+\/test_\d+ (?:was lost: |is away \(.*\); nothing was changed$)/,
      );
      return true;
    });
  }
  const called = new Promise<void>((resolve) => right.watch(resolve));
  await server.start();
  await eventually('writing goes on', () => left.write(change(2, [resource(2, 'b')])).then(() => true));
  await called;
  const seen: number[] = [];
  await eventually('the other one is back', () =>
    right.catchUp(({ revision }) => void seen.push(revision)).then(() => seen.length > 0),
  );
  assert.deepEqual(seen, [2]);
  assert.equal(log.filter((line) => line.includes(' is away: ')).length, 1, log.join('\n'));
  assert.equal(log.filter((line) => line.endsWith(' takes writes again')).length, 1, log.join('\n'));
});

test('counts a database that stands still as away, and goes on when it goes on', async () => {
  const address = await server.database();
  const store = await open(address, { answerMs: 500 });
  await store.load();
  server.freeze();
  try {
    await assert.rejects(
      store.write(change(1, [resource(1, 'a')])),
      /was lost while writing \(Query read timeout\)/,
    );
    // Nobody waits a second time.
    await assert.rejects(
      store.write(change(1, [resource(1, 'a')])),
      /(?:is away \(|was lost: )Query read timeout/,
    );
  } finally {
    server.thaw();
  }
  await eventually('it goes on', () => store.load().then(() => true));
  const { revision } = await store.load();
  await store.write(change(revision + 1, [resource(revision + 1, 'b')]));
});

test('misses nothing that was written while its connection was gone', async () => {
  const address = await server.database();
  const [left, right] = [await open(address), await open(address)];
  for (const store of [left, right]) await store.load();
  const seen: number[] = [];
  right.watch(() => void right.catchUp(({ revision }) => void seen.push(revision)).catch(() => {}));
  for (let round = 1; round <= 20; round++) {
    if (round % 4 === 0) {
      await server.query(
        'postgres',
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice'",
      );
    }
    await eventually('it is written', () =>
      left.write(change(round, [resource(round, 'a')])).then(
        () => true,
        async (error) => {
          // A write whose answer was lost may have been kept.
          let reached = false;
          await left.catchUp((step) => void (reached = step.revision === round));
          if (reached) return true;
          throw error;
        },
      ),
    );
  }
  await eventually('all was seen', () => seen.at(-1) === 20);
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
});

const PROGRAM = `
  import { parseDatabaseAddress } from ${JSON.stringify(new URL('../../src/stores/postgres/database-address.ts', import.meta.url).href)};
  import { PostgresStore } from ${JSON.stringify(new URL('../../src/stores/postgres/postgres-store.ts', import.meta.url).href)};
  const store = await PostgresStore.open(parseDatabaseAddress(process.argv[1]));
  let { revision } = await store.load();
  for (;;) {
    revision++;
    const puts = Array.from({ length: 5 }, (_, index) => ({
      kind: 'routes', id: String(index), workspace: 'default', createdRevision: 1, modifiedRevision: revision,
      value: { id: String(index), padding: 'x'.repeat(revision * 37 % 3000) },
    }));
    await store.write({ revision, puts, removals: [] });
    process.stdout.write(revision + '\\n');
  }
`;

test('loses nothing acknowledged and halves nothing when its process is killed', async () => {
  const address = await server.database();
  const store = await open(address);
  let before = 0;
  for (let kill = 0; kill < 6; kill++) {
    const writer: ChildProcess = spawn(
      process.execPath,
      ['--input-type=module', '--eval', PROGRAM, address],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let output = '';
    writer.stdout?.setEncoding('utf8').on('data', (text) => {
      if (output === '') setTimeout(() => writer.kill('SIGKILL'), Math.random() * 60);
      output += text;
    });
    await once(writer, 'close');
    const acknowledged = output.split('\n').slice(0, -1).map(Number).at(-1) ?? 0;
    const { revision, resources } = await store.load();
    assert.ok(
      acknowledged > before && revision >= acknowledged,
      `${revision} is left, ${acknowledged} was acknowledged`,
    );
    assert.deepEqual(
      resources.map((one) => one.modifiedRevision),
      Array(5).fill(revision),
    );
    before = revision;
  }
});
