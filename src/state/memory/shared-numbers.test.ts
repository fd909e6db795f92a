import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHARED_NUMBERS } from '../../plugin/shared-numbers.ts';
import { allocateSharedState, SharedState } from './shared-state.ts';

function views(now: () => number) {
  const buffers = allocateSharedState({ workers: 2, limitSlots: 32, ticketSlots: 32 });
  const main = new SharedState(buffers, undefined, now);
  const workers = [1, 2].map(
    (worker) => new SharedState(buffers, { worker, incarnation: main.membership.admit(worker) }, now),
  );
  return { main, one: workers[0].shared, other: workers[1].shared };
}

test('numbers begin at zero, and one worker sees what another has changed', () => {
  const { one, other } = views(() => 0);
  const first = one.update('key', (numbers) => {
    const before = [...numbers];
    numbers[0] = 1.5;
    numbers[SHARED_NUMBERS - 1] = -7;
    return before;
  });
  assert.deepEqual(first, Array(SHARED_NUMBERS).fill(0));
  assert.deepEqual(
    other.update('key', (numbers) => [numbers[0], numbers[SHARED_NUMBERS - 1]]),
    [1.5, -7],
  );
  assert.equal(
    other.update('another', (numbers) => numbers[0]),
    0,
  );
});

test('a change that throws lets others go on', () => {
  const { one, other } = views(() => 0);
  assert.throws(() =>
    one.update('key', () => {
      throw new Error('a bug');
    }),
  );
  assert.equal(
    other.update('key', (numbers) => ++numbers[0]),
    1,
  );
});

test('a look changes nothing, and makes no entry', () => {
  const { main, one } = views(() => 0);
  one.update('key', (numbers) => {
    numbers[0] = 5;
  });
  const peek = main.shared.peek();
  assert.equal(
    peek.update('key', (numbers) => ++numbers[0]),
    6,
  );
  assert.equal(
    peek.update('none', (numbers) => ++numbers[0]),
    1,
  );
  assert.equal(
    one.update('key', (numbers) => numbers[0]),
    5,
  );
});

test('numbers nobody asks for in a month are forgotten, others are kept', () => {
  let now = 0;
  const { one } = views(() => now);
  const add = (key: string) => one.update(key, (numbers) => ++numbers[0]);
  add('old');
  add('kept');
  now += 20 * 86_400_000;
  assert.equal(add('kept'), 2);
  now += 20 * 86_400_000;
  assert.equal(add('kept'), 3);
  assert.equal(add('old'), 1);
});
