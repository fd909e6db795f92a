import assert from 'node:assert/strict';
import { test } from 'node:test';
import { watchPulse } from './watchdog.ts';

test('calls for the end of a worker once it has stood still, and not before', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const pulse = new SharedArrayBuffer(4);
  const count = new Int32Array(pulse);
  let ended = 0;
  watchPulse(pulse, 1_000, () => void ended++);
  for (let i = 0; i < 30; i++) {
    // It beats late, yet it beats.
    if (i % 9 === 0) Atomics.add(count, 0, 1);
    t.mock.timers.tick(100);
  }
  assert.equal(ended, 0);
  t.mock.timers.tick(700);
  assert.equal(ended, 0);
  t.mock.timers.tick(5_000);
  assert.equal(ended, 1);
});

test('ends nobody when it is told to stop watching', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const stop = watchPulse(new SharedArrayBuffer(4), 1_000, () => assert.fail('ended'));
  stop();
  t.mock.timers.tick(5_000);
});
