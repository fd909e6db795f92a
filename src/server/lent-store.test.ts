import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Store, StoreAwayError } from '../model/store.ts';
import { LentStore } from './lent-store.ts';

const CHANGE = { revision: 1, puts: [], removals: [] };

function memory(log: string[], name: string): Store {
  return {
    load: () => Promise.resolve({ revision: 7, resources: [] }),
    write: ({ revision }) => {
      log.push(`${name} writes ${revision}`);
      return Promise.resolve();
    },
    close: () => {
      log.push(`${name} closes`);
      return Promise.resolve();
    },
  };
}

test('refuses writes while it is away, and writes to what it has opened again', async () => {
  const log: string[] = [];
  const store = new LentStore(memory(log, 'a'), () => Promise.resolve(memory(log, 'b')));
  await store.write(CHANGE);
  await store.letGo();
  await store.letGo();
  await assert.rejects(store.write(CHANGE), StoreAwayError);
  assert.equal((await store.takeBack()).revision, 7);
  await store.write(CHANGE);
  await store.close();
  assert.deepEqual(log, ['a writes 1', 'a closes', 'b writes 1', 'b closes']);
});

test('stays away when it can not be opened again', async () => {
  const store = new LentStore(memory([], 'a'), () => Promise.reject(new Error('made by a newer one')));
  await store.letGo();
  await assert.rejects(store.takeBack(), /made by a newer one/);
  await assert.rejects(store.write(CHANGE), StoreAwayError);
});
