import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Deadlines, deadlinesOf, disarm, type Waiting } from './deadlines.ts';

class Waiter implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;
  expired = 0;
  reaction: (() => void) | undefined;

  onDeadline(): void {
    this.expired++;
    this.reaction?.();
  }
}

const WAITERS = 4;
const step = fc.oneof(
  fc.record({
    kind: fc.constant('arm' as const),
    waiter: fc.nat(WAITERS - 1),
    list: fc.nat(2),
    time: fc.nat(40),
  }),
  fc.record({
    kind: fc.constant('disarm' as const),
    waiter: fc.nat(WAITERS - 1),
    list: fc.constant(0),
    time: fc.nat(40),
  }),
  fc.record({
    kind: fc.constant('expire' as const),
    waiter: fc.constant(0),
    list: fc.nat(2),
    time: fc.nat(40),
  }),
);

test('expires exactly those that are due, as a table of times would', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const lists = [new Deadlines(20), new Deadlines(50), new Deadlines(0)];
      const waiters = Array.from({ length: WAITERS }, () => new Waiter());
      const model = waiters.map(() => ({ list: -1, due: 0, expired: 0 }));
      let now = 1000;
      for (const { kind, waiter, list, time } of steps) {
        now += time;
        if (kind === 'arm') {
          lists[list].arm(waiters[waiter], now);
          model[waiter].list = lists[list].milliseconds === 0 ? -1 : list;
          model[waiter].due = now + lists[list].milliseconds;
        } else if (kind === 'disarm') {
          disarm(waiters[waiter]);
          model[waiter].list = -1;
        } else {
          lists[list].expire(now);
          for (const entry of model) {
            if (entry.list !== list || entry.due > now) continue;
            entry.expired++;
            entry.list = -1;
          }
        }
        assert.deepEqual(
          waiters.map(({ expired, deadlines }) => [
            expired,
            deadlines === null ? -1 : lists.indexOf(deadlines),
          ]),
          model.map((entry) => [entry.expired, entry.list]),
        );
      }
      for (const waiter of waiters) disarm(waiter);
    }),
    { numRuns: 1000 },
  );
});

test('lets a deadline arm itself and others again', () => {
  const list = new Deadlines(10);
  const [a, b] = [new Waiter(), new Waiter()];
  a.reaction = () => {
    list.arm(a, 100);
    disarm(b);
  };
  list.arm(a, 0);
  list.arm(b, 0);
  list.expire(50);
  assert.deepEqual([a.expired, b.expired, a.deadlines, b.deadlines], [1, 0, list, null]);
  disarm(a);
});

test('is one list for one duration, and is heard without being asked', async () => {
  assert.equal(deadlinesOf(20), deadlinesOf(20));
  const waiter = new Waiter();
  await new Promise<void>((resolve) => {
    waiter.reaction = resolve;
    deadlinesOf(20).arm(waiter);
    // The ticker keeps no process alive; the test must.
    const alive = setInterval(() => waiter.expired > 0 && clearInterval(alive), 5);
  });
  assert.equal(waiter.expired, 1);
});
