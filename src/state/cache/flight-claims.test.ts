import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlightClaims } from './flight-claims.ts';

test('one worker has a claim until it lets go, and hears whether somebody waits', () => {
  const memory = FlightClaims.allocate();
  const one = new FlightClaims(memory, 1);
  const other = new FlightClaims(memory, 2);
  assert.equal(one.claim('a'), 'mine');
  assert.equal(other.claim('a'), 'other');
  assert.equal(one.claim('a'), 'nobody', 'its own requests know of each other');
  assert.equal(other.claim('b'), 'mine');
  assert.equal(other.await('a'), true);
  assert.equal(one.release('a'), true);
  assert.equal(other.await('a'), false);
  assert.equal(other.claim('a'), 'mine');
});

test('what a worker held that is gone is free when its successor begins', () => {
  const memory = FlightClaims.allocate();
  new FlightClaims(memory, 1).claim('a');
  const other = new FlightClaims(memory, 2);
  assert.equal(other.claim('a'), 'other');
  new FlightClaims(memory, 1);
  assert.equal(other.claim('a'), 'mine');
});

test('never gives one key to two workers', () => {
  const step = fc.record({ worker: fc.nat(2), key: fc.constantFrom('a', 'b', 'c'), release: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const memory = FlightClaims.allocate();
      const workers = [1, 2, 3].map((number) => new FlightClaims(memory, number));
      const holder = new Map<string, number>();
      for (const { worker, key, release } of steps) {
        if (!release) {
          const result = workers[worker].claim(key);
          const held = holder.get(key);
          assert.equal(result, held === undefined ? 'mine' : held === worker ? 'nobody' : 'other');
          if (result === 'mine') holder.set(key, worker);
        } else if (holder.get(key) === worker) {
          workers[worker].release(key);
          holder.delete(key);
        }
      }
    }),
    { numRuns: 30 },
  );
});
