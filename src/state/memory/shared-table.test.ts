import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Membership } from './membership.ts';
import { SharedTable, type SharedTableOptions } from './shared-table.ts';

function open(options: SharedTableOptions = {}): SharedTable {
  return new SharedTable(SharedTable.allocate(options), new Membership(Membership.allocate(2)));
}

function put(table: SharedTable, key: string, value: number, expiry: number, now = 0): void {
  const slot = table.acquire(key, now);
  table.words[slot * table.wordsPerSlot] = value;
  table.expiries[slot] = expiry;
  table.release();
}

function get(table: SharedTable, key: string, now = 0): number | undefined {
  const slot = table.find(key, now);
  if (slot < 0) return undefined;
  const value = table.words[slot * table.wordsPerSlot];
  table.release();
  return value;
}

test('keeps what was written under a key until its expiry', () => {
  const table = open();
  put(table, 'a', 1, 100);
  put(table, 'b', 2, 200);
  assert.equal(get(table, 'a', 99), 1);
  assert.equal(get(table, 'a', 100), undefined);
  assert.equal(get(table, 'b', 100), 2);
  assert.equal(get(table, 'c'), undefined);
});

test('hands out an expired entry as a fresh one with zeroed words', () => {
  const table = open({ words: 3 });
  put(table, 'a', 5, 100);
  const slot = table.acquire('a', 100);
  assert.equal(table.fresh, true);
  assert.equal(table.words[slot * 3], 0);
  table.release();
});

test('shows one thread what another wrote through the same buffer', () => {
  const buffer = SharedTable.allocate();
  const membership = new Membership(Membership.allocate(1));
  put(new SharedTable(buffer, membership), 'a', 7, 100);
  assert.equal(get(new SharedTable(buffer, membership), 'a'), 7);
});

test('gives up expired entries first and counts no eviction for them', () => {
  const table = open({ slots: 32 });
  for (let i = 0; i < 32; i++) put(table, `k${i}`, i, i === 9 ? 10 : 1000);
  put(table, 'new', 1, 1000, 10);
  assert.equal(table.evictions, 0);
  assert.equal(get(table, 'new', 10), 1);
  for (let i = 0; i < 32; i++) if (i !== 9) assert.equal(get(table, `k${i}`, 10), i);
});

test('gives up the entry nearest to its expiry when all are live, and counts it', () => {
  const table = open({ slots: 32 });
  for (let i = 0; i < 32; i++) put(table, `k${i}`, i, 1000 - i);
  put(table, 'new', 1, 5000);
  assert.equal(table.evictions, 1);
  assert.equal(get(table, 'k31'), undefined);
  assert.equal(get(table, 'k30'), 30);
});

test('an entry that was made but never given an expiry counts as none', () => {
  const table = open();
  const slot = table.acquire('a', 50);
  table.words[slot * table.wordsPerSlot] = 9;
  table.release();
  assert.equal(get(table, 'a', 50), undefined);
});

test('takes a lock over from an owner that is dead, and finds the entry as it was left', () => {
  const membership = new Membership(Membership.allocate(2));
  const buffer = SharedTable.allocate();
  const first = membership.admit(1);
  const dying = new SharedTable(buffer, membership, Membership.token(1, first));
  put(dying, 'a', 3, 100);
  dying.acquire('a', 0);
  membership.dismiss(1);
  const second = membership.admit(1);
  const other = new SharedTable(buffer, membership, Membership.token(1, second));
  assert.equal(get(other, 'a'), 3);
  assert.equal(other.takeovers, 1);
  assert.equal(get(other, 'a'), 3);
  assert.equal(other.takeovers, 1);
});

test('the main thread does not wait forever for an owner that lives', () => {
  const membership = new Membership(Membership.allocate(1));
  const buffer = SharedTable.allocate();
  const worker = new SharedTable(buffer, membership, Membership.token(1, membership.admit(1)));
  worker.acquire('a', 0);
  assert.throws(() => new SharedTable(buffer, membership).acquire('a', 0), /worker 1 holds a lock/);
});

test('behaves as a Map with expiries as long as no bucket overflows', () => {
  const key = fc.integer({ min: 0, max: 20 }).map((n) => `key-${n}`);
  const step = fc.record({
    key,
    value: fc.integer(),
    life: fc.integer({ min: 0, max: 50 }),
    pause: fc.nat(20),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = open({ slots: 64, words: 2 });
      const model = new Map<string, { value: number; expiry: number }>();
      let now = 0;
      for (const { key, value, life, pause } of steps) {
        now += pause;
        const expected = model.get(key);
        assert.equal(get(table, key, now), expected && expected.expiry > now ? expected.value : undefined);
        put(table, key, value, now + life, now);
        model.set(key, { value, expiry: now + life });
      }
      assert.equal(table.evictions, 0);
    }),
  );
});

test('a dismissed worker is dead until it is admitted again, under another incarnation', () => {
  const membership = new Membership(Membership.allocate(2));
  const first = Membership.token(2, membership.admit(2));
  assert.equal(membership.lives(first), true);
  membership.dismiss(2);
  assert.equal(membership.lives(first), false);
  const second = Membership.token(2, membership.admit(2));
  assert.equal(membership.lives(first), false);
  assert.equal(membership.lives(second), true);
  assert.equal(membership.lives(Membership.MAIN), true);
  assert.throws(() => membership.admit(3), RangeError);
});
