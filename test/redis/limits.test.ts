// The algorithms as Redis runs them, and the clock they go by.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { RedisServer } from '../support/redis-server.ts';
import { type Machine, machine } from './redis-bench.ts';

describe('limits in Redis', { concurrency: true }, () => {
  let redis: RedisServer;
  let first: Machine;
  let second: Machine;
  const endings: (() => unknown)[] = [];
  const scope = { after: (ending: () => unknown) => void endings.push(ending) };

  before(async () => {
    redis = await RedisServer.start(scope as never);
    first = machine(scope as never, { redis_port: redis.port });
    second = machine(scope as never, { redis_port: redis.port });
  });
  after(async () => {
    for (const ending of endings.reverse()) await ending();
  });

  test('a fixed window admits its limit over all machines, and tells what is left', async () => {
    const verdicts = [];
    for (const { limits } of [first, second, first, second]) {
      verdicts.push(await limits.fixedWindow('fixed', 3, 60, 1));
    }
    assert.deepEqual(
      verdicts.map(({ allowed }) => allowed),
      [true, true, true, false],
    );
    assert.deepEqual(
      verdicts.map(({ remaining }) => remaining),
      [2, 1, 0, 0],
    );
    assert.equal(verdicts[0].resetSeconds, 60);
    for (const { resetSeconds } of verdicts) assert.ok(resetSeconds > 50 && resetSeconds <= 60);
  });

  test('requests at the same moment are admitted exactly as often as allowed', async () => {
    for (const kind of ['fixedWindow', 'slidingWindow'] as const) {
      const asks = Array.from({ length: 400 }, (_, index) =>
        (index % 2 === 0 ? first : second).limits[kind](`crowd ${kind}`, 40, 3600, 1),
      );
      const verdicts = await Promise.all(asks);
      assert.equal(verdicts.filter(({ allowed }) => allowed).length, 40, kind);
    }
  });

  test('a refused cost is not counted', async () => {
    const { limits } = first;
    assert.equal((await limits.fixedWindow('costly', 10, 60, 11)).allowed, false);
    assert.equal((await limits.fixedWindow('costly', 10, 60, 8)).remaining, 2);
    assert.equal((await limits.fixedWindow('costly', 10, 60, 3)).allowed, false);
    assert.equal((await limits.fixedWindow('costly', 10, 60, 2)).remaining, 0);
  });

  test('a long key takes no more room than a short one, and is no other key', async () => {
    const { limits } = first;
    const [one, other] = ['a', 'b'].map((end) => `long ${'x'.repeat(60_000)}${end}`);
    assert.equal((await limits.fixedWindow(one, 1, 60, 1)).allowed, true);
    assert.equal((await limits.fixedWindow(other, 1, 60, 1)).allowed, true);
    assert.equal((await second.limits.fixedWindow(one, 1, 60, 1)).allowed, false);
    assert.equal((await limits.slidingWindow(one, 1, 60, 1)).allowed, true);
    assert.equal((await limits.leakyBucket(one, 1, 0)).allowed, true);
    assert.equal((await limits.enter(one, 1)).allowed, true);
    assert.equal((await second.limits.enter(one, 1)).allowed, false);
    limits.leave(one);
    await eventually('it has left', async () => (await second.limits.enter(one, 1)).allowed);
    second.limits.leave(one);
    const keys = (await redis.command('KEYS', 'sluice:*')) as string[];
    assert.ok(keys.every((key) => key.length < 300));
  });

  test('a window ends by itself', async () => {
    const { limits } = first;
    const both = await Promise.all([
      limits.fixedWindow('short', 1, 0.2, 1),
      limits.fixedWindow('short', 1, 0.2, 1),
    ]);
    assert.deepEqual(
      both.map(({ allowed }) => allowed),
      [true, false],
    );
    await eventually(
      'the window has ended',
      async () => (await limits.fixedWindow('short', 1, 0.2, 1)).allowed,
    );
    assert.equal(await redis.command('PTTL', 'sluice:fixed:no such key'), -2);
  });

  test('a sliding window weighs the one before, and never admits more than its limit within one', async () => {
    const { limits } = first;
    const windowSeconds = 0.25;
    const admitted: number[] = [];
    const end = performance.now() + 1000;
    while (performance.now() < end) {
      const before = performance.now();
      const { allowed } = await limits.slidingWindow('slide', 20, windowSeconds, 1);
      if (allowed) admitted.push(before);
    }
    assert.ok(admitted.length > 40, `${admitted.length} were admitted in four windows`);
    // By the clock of Redis no aligned window has more than 20; any stretch as long touches two of them.
    for (const start of admitted) {
      const within = admitted.filter((at) => at >= start && at < start + windowSeconds * 1000).length;
      assert.ok(within <= 40, `${within} within one window's length`);
    }
  });

  test('a leaky bucket delays what is within the burst and refuses the rest', async () => {
    const { limits } = second;
    const verdicts = [];
    for (let times = 0; times < 4; times++) verdicts.push(limits.leakyBucket('bucket', 0.1, 2));
    const decided = await Promise.all(verdicts);
    assert.deepEqual(
      decided.map(({ allowed }) => allowed),
      [true, true, true, false],
    );
    assert.deepEqual(
      decided.map(({ delaySeconds }) => Math.round(delaySeconds)),
      [0, 10, 20, 0],
    );
    assert.equal(Math.round(decided[3].resetSeconds), 10);
  });

  test('a bucket is empty after a while', async () => {
    const { limits } = first;
    const both = await Promise.all([
      limits.leakyBucket('drains', 10, 0),
      limits.leakyBucket('drains', 10, 0),
    ]);
    assert.deepEqual(
      both.map(({ allowed }) => allowed),
      [true, false],
    );
    await eventually('it has drained', async () => (await limits.leakyBucket('drains', 10, 0)).allowed);
  });

  test('as many are inside as allowed, on whichever machine', async () => {
    const entries = [];
    for (const { limits } of [first, second, first]) entries.push(await limits.enter('room', 2));
    assert.deepEqual(entries, [
      { allowed: true, current: 1 },
      { allowed: true, current: 2 },
      { allowed: false, current: 2 },
    ]);
    second.limits.leave('room');
    await eventually('there is room again', async () => (await first.limits.enter('room', 2)).allowed);
    first.limits.leave('room');
    first.limits.leave('room');
    await eventually(
      'nobody is inside',
      async () => (await redis.command('EXISTS', 'sluice:inside:room')) === 0,
    );
  });

  test('a stay whose gateway is gone is forgotten after its time', async (t) => {
    const doomed = machine(t, { redis_port: redis.port }, { stayTtlSeconds: 2 });
    assert.equal((await doomed.limits.enter('grave', 1)).allowed, true);
    doomed.acquired.link.close();
    assert.equal((await second.limits.enter('grave', 1)).allowed, false);
    await eventually('it is forgotten', async () => (await second.limits.enter('grave', 1)).allowed);
    second.limits.leave('grave');
  });

  test('a stay lasts as long as its request, however short its lease', async () => {
    const { limits } = machine(scope as never, { redis_port: redis.port }, { stayTtlSeconds: 2 });
    assert.equal((await limits.enter('patience', 1)).allowed, true);
    const end = Number(
      ((await redis.command('ZRANGE', 'sluice:inside:patience', '0', '0', 'WITHSCORES')) as string[])[1],
    );
    await eventually('its first lease has ended', async () => {
      const [seconds] = (await redis.command('TIME')) as [string];
      return Number(seconds) * 1000 > end;
    });
    assert.equal((await second.limits.enter('patience', 1)).allowed, false);
    limits.leave('patience');
    await eventually('it has ended', async () => (await second.limits.enter('patience', 1)).allowed);
    second.limits.leave('patience');
  });

  test('a clock of Redis that was set back leaves nothing stuck', async () => {
    const { limits } = first;
    const [seconds] = (await redis.command('TIME')) as [string];
    // As an hour's step back leaves them: an end of the window and a drained bucket far in the future.
    await redis.command('SET', 'sluice:fixed:stepped', '1', 'PX', '3600000');
    assert.equal((await limits.fixedWindow('stepped', 1, 2, 1)).resetSeconds, 2);
    assert.ok(Number(await redis.command('PTTL', 'sluice:fixed:stepped')) <= 2000);
    await redis.command('SET', 'sluice:bucket:stepped', String((Number(seconds) + 3600) * 1000));
    const refused = await limits.leakyBucket('stepped', 50, 1);
    assert.equal(refused.allowed, false);
    await eventually('the bucket drains', async () => (await limits.leakyBucket('stepped', 50, 1)).allowed);
    await redis.command('HSET', 'sluice:sliding:stepped', 'n', '99999999999', 'c', '5', 'p', '5');
    assert.equal((await limits.slidingWindow('stepped', 1, 60, 1)).allowed, true);
  });

  test('a Redis that has forgotten the scripts gets them again', async () => {
    assert.equal((await first.limits.fixedWindow('flush', 2, 60, 1)).allowed, true);
    await redis.command('SCRIPT', 'FLUSH');
    assert.equal((await first.limits.fixedWindow('flush', 2, 60, 1)).remaining, 0);
  });

  test('numbers as large as a configuration allows are kept exactly', async () => {
    const limit = 2 ** 52;
    assert.equal((await first.limits.fixedWindow('large', limit, 31_536_000, 1)).remaining, limit - 1);
    assert.equal((await first.limits.fixedWindow('large', limit, 31_536_000, 1)).remaining, limit - 2);
    assert.equal((await first.limits.slidingWindow('large', limit, 31_536_000, 1)).allowed, true);
    assert.equal((await first.limits.leakyBucket('large', 1e-5, 1e9)).allowed, true);
  });
});
