import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateSharedState, SharedState } from './shared-state.ts';

test('gives each call of each worker another number', () => {
  const buffers = allocateSharedState({ workers: 2 });
  const main = new SharedState(buffers);
  const worker = new SharedState(buffers, { worker: 1, incarnation: main.membership.admit(1) });
  const here = main.counters.ticket('upstream/1');
  const there = worker.counters.ticket('upstream/1');
  assert.deepEqual([here.next(), there.next(), there.next(), here.next()], [0, 1, 2, 3]);
  assert.equal(main.counters.nextTicket('upstream/1'), 4);
  assert.equal(main.counters.nextTicket('upstream/2'), 0);
});

test('a ticket that had to give way starts anew, and leaves its successor alone', () => {
  const buffers = allocateSharedState({ workers: 1, ticketSlots: 32 });
  let now = 0;
  const { counters } = new SharedState(buffers, undefined, () => now++);
  const oldest = counters.ticket('oldest');
  oldest.next();
  oldest.next();
  const others = Array.from({ length: 32 }, (_, i) => counters.ticket(`other-${i}`));
  assert.deepEqual(
    others.map((ticket) => ticket.next()),
    Array(32).fill(0),
  );
  assert.equal(oldest.next(), 0);
});
