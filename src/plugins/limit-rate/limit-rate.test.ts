import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind, ManualClock, NaiveLimits, run } from '../../plugin/testing.ts';
import { limitRate } from './limit-rate.ts';

const body = Buffer.from(Array.from({ length: 3000 }, (_, index) => index & 255));
const upstream = { body, headers: { 'content-length': '3000' } };
const sum = (delays: readonly number[]) => delays.reduce((total, delay) => total + delay, 0);

test('sends all of a body, in the time that the rate asks for', async () => {
  const bound = bind(limitRate, { rate: 1000 });
  const { response } = await bound.request({}, { upstream });
  assert.ok(body.equals(response.bytes));
  // The first piece goes at once, so that the last one is there a bit before three seconds.
  const seconds = sum(bound.kit.delays) / 1000;
  assert.ok(seconds > 2.5 && seconds < 3, String(seconds));
});

test('lets the beginning out at once, and a small body whole', async () => {
  const bound = bind(limitRate, { rate: 1000, after: 2000 });
  assert.ok(body.equals((await bound.request({}, { upstream })).response.bytes));
  assert.ok(sum(bound.kit.delays) < 1000, String(sum(bound.kit.delays)));
  const small = await run(limitRate, { rate: 1, after: 3000 }, {}, { upstream });
  assert.deepEqual(small.delays, []);
  assert.ok(body.equals(small.response.bytes));
});

test('shares the rate among answers with the same key', async () => {
  const clock = new ManualClock();
  const bound = bind(
    limitRate,
    { rate: 1000, key: 'consumer_name' },
    { clock, limits: new NaiveLimits(clock) },
  );
  const start = clock.monotonic();
  await Promise.all([
    bound.request({}, { upstream, consumer: 'jane' }),
    bound.request({}, { upstream, consumer: 'jane' }),
  ]);
  const seconds = (clock.monotonic() - start) / 1000;
  assert.ok(seconds > 5.4, `two bodies of 3000 bytes took ${seconds} s`);
});

test('gives answers with other keys a rate of their own', async () => {
  const clock = new ManualClock();
  const bound = bind(
    limitRate,
    { rate: 1000, key: 'consumer_name' },
    { clock, limits: new NaiveLimits(clock) },
  );
  await bound.request({}, { upstream, consumer: 'jane' });
  const before = clock.monotonic();
  await bound.request({}, { upstream, consumer: 'joe' });
  assert.ok(clock.monotonic() - before < 3000);
});
