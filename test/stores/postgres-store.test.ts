import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseDatabaseAddress } from '../../src/stores/postgres/database-address.ts';
import { PostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/postgres-store.ts';
import { sharedStoreConformance } from '../../src/stores/shared-store.conformance.ts';
import { storeConformance } from '../../src/stores/store.conformance.ts';
import { DATABASE_PASSWORD, PostgresServer } from '../support/postgres-server.ts';

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

storeConformance('PostgresStore', async () => {
  const address = await server.database();
  return { open: () => open(address), remove: async () => {} };
});

sharedStoreConformance('PostgresStore', async () => {
  const address = await server.database();
  return {
    open: () => open(address),
    forgetSteps: async () => void (await server.query(address, 'DELETE FROM sluice_change')),
    async keep() {
      await server.query(
        address,
        `CREATE TABLE kept_state AS SELECT * FROM sluice_state;
         CREATE TABLE kept_resource AS SELECT * FROM sluice_resource;
         CREATE TABLE kept_change AS SELECT * FROM sluice_change`,
      );
      return async () => {
        await server.query(
          address,
          `TRUNCATE sluice_state, sluice_resource, sluice_change;
           INSERT INTO sluice_state SELECT * FROM kept_state;
           INSERT INTO sluice_resource OVERRIDING SYSTEM VALUE SELECT * FROM kept_resource;
           INSERT INTO sluice_change SELECT * FROM kept_change`,
        );
      };
    },
    remove: async () => {},
  };
});

test('makes its tables once, however many come at the same time', async () => {
  const address = await server.database();
  const stores = await Promise.all(Array.from({ length: 5 }, () => open(address)));
  for (const store of stores) assert.deepEqual(await store.load(), { revision: 0, resources: [] });
});

test('refuses a database that a newer Sluice made', async () => {
  const address = await server.database();
  await (await open(address)).close();
  await server.query(address, 'UPDATE sluice_state SET schema = 999');
  await assert.rejects(open(address), /made by a newer Sluice \(its schema is version 999/);
});

test('refuses a database that can not hold every text', async () => {
  await server.query(
    'postgres',
    "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'",
  );
  const address = (await server.database()).replace(/[^/]+$/, 'latin');
  await assert.rejects(open(address), /has the encoding LATIN1; make one with/);
});

test('refuses a process with another encryption key', async () => {
  const address = await server.database();
  await open(address, { keyCheck: 'one' });
  await open(address, { keyCheck: 'one' });
  await assert.rejects(open(address, { keyCheck: 'another' }), /same SLUICE_ENCRYPTION_KEY/);
});

test('says which rights are missing', async () => {
  const address = new URL(await server.database());
  await server.query(address.href, `CREATE USER weak PASSWORD 'weak'`);
  address.username = address.password = 'weak';
  await assert.rejects(open(address.href), /permission denied for schema public; grant CREATE/);
});

test('never shows the password, whatever is wrong', async () => {
  const good = await server.database();
  const addresses = [
    good.replace(/:\d+\//, ':1/'),
    good.replace(/[^/]+$/, 'absent'),
    good.replace('sluice:', 'nobody:'),
    good.replace('127.0.0.1', 'name.invalid'),
    good.replace('postgres:', 'mysql:'),
    good.replace('127.0.0.1', '127.0.0.1 '),
  ];
  for (const address of addresses) {
    await assert.rejects(
      async () => open(address),
      (error: Error) => {
        const text = `${error.stack} ${String(error.cause)}`;
        assert.ok(
          !text.includes(DATABASE_PASSWORD) && !text.includes(encodeURIComponent(DATABASE_PASSWORD)),
          text,
        );
        return true;
      },
    );
  }
});

test('wants TLS of a database on another machine unless told otherwise', () => {
  const stringOf = (address: string) => parseDatabaseAddress(address).connectionString;
  assert.match(stringOf('postgres://u@db.example/x'), /sslmode=verify-full/);
  assert.match(stringOf('postgres://u@db.example/x?sslmode=disable'), /\?sslmode=disable$/);
  assert.doesNotMatch(stringOf('postgres://u@127.0.0.1:5432/x'), /ssl/);
  assert.doesNotMatch(stringOf('postgres://u@localhost/x'), /ssl/);
  assert.doesNotMatch(stringOf('postgres:///x?host=/var/run/postgresql'), /ssl/);
  assert.match(stringOf('postgres:///x?host=db.example'), /sslmode=verify-full/);
});
