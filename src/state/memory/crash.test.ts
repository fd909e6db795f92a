// A worker dies between any two writes of any algorithm; what the next one then lets through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { SharedTable } from './shared-table.ts';

class Death extends Error {}

/** Lets `writes` more elements be written to the table's arrays, then throws in place of the write. */
function mortal(table: SharedTable, life: { writes: number }): void {
  for (const name of ['words', 'expiries'] as const) {
    const array = table[name];
    const proxy = new Proxy(array, {
      get: (_, property) => Reflect.get(array, property, array),
      set(_, property, value) {
        if (life.writes-- <= 0) throw new Death();
        return Reflect.set(array, property, value, array);
      },
    });
    Object.defineProperty(table, name, { value: proxy });
  }
}

/**
 * Ten requests, a pause, and two more by a worker that dies at its `death`-th write of these (or
 * not at all); then another worker asks on until ten in a row are refused. Returns the requests
 * allowed since the pause, and whether the worker died.
 */
function run(ask: (limits: MemoryLimits) => boolean, pause: number, death: number) {
  const clock = { now: 600_000 };
  const membership = new Membership(Membership.allocate(2));
  const buffer = SharedTable.allocate({ slots: 32, words: 4 });
  const life = { writes: Number.POSITIVE_INFINITY };
  const open = (worker: number, arm: boolean) => {
    const token = Membership.token(worker, membership.admit(worker));
    const table = new SharedTable(buffer, membership, token);
    if (arm) mortal(table, life);
    return new MemoryLimits(table, token, () => clock.now);
  };
  const dying = open(1, true);
  for (let i = 0; i < 10; i++) ask(dying);
  clock.now += pause;
  life.writes = death;
  let allowed = 0;
  let died = false;
  try {
    for (let i = 0; i < 2; i++) if (ask(dying)) allowed++;
  } catch (error) {
    assert.ok(error instanceof Death);
    died = true;
  }
  membership.dismiss(1);
  const next = open(2, false);
  for (let refused = 0; refused < 10; )
    if (ask(next)) allowed++;
    else refused++;
  return { allowed, died };
}

const algorithms: Record<string, (limits: MemoryLimits) => boolean> = {
  fixedWindow: (limits) => limits.fixedWindow('k', 5, 60, 1).allowed,
  slidingWindow: (limits) => limits.slidingWindow('k', 5, 60, 1).allowed,
  leakyBucket: (limits) => limits.leakyBucket('k', 0.1, 4).allowed,
};

for (const [name, ask] of Object.entries(algorithms)) {
  test(`${name}: a death between any two writes costs one request at most and gives none away`, () => {
    let deaths = 0;
    // In the same window, at its end, within the next one, and after all is forgotten.
    for (const pause of [0, 10_000, 59_999, 60_000, 90_000, 120_000, 3_600_000]) {
      const { allowed: expected } = run(ask, pause, Number.POSITIVE_INFINITY);
      for (let death = 0; death < 20; death++) {
        const { allowed, died } = run(ask, pause, death);
        if (died) deaths++;
        assert.ok(
          allowed <= expected && allowed >= expected - 1,
          `${allowed} instead of ${expected} after a pause of ${pause} ms and a death at write ${death}`,
        );
      }
    }
    assert.ok(deaths > 10, 'nobody died');
  });
}
