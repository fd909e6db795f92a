// A Redis that freezes, dies, comes back, or was never there: who waits, who decides, who asks again.

import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LimitsUnavailable } from '../../src/plugin/limits.ts';
import { ManualClock, NaiveLimits } from '../../src/plugin/testing.ts';
import { allocateSharedState, SharedState } from '../../src/state/memory/shared-state.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer } from '../support/redis-server.ts';
import { machine } from './redis-bench.ts';

const UNAVAILABLE = { name: 'LimitsUnavailable' };

test('a frozen Redis costs the first requests their patience and the next none', async (t) => {
  const redis = await RedisServer.start(t);
  const { limits, lines, attempts } = machine(t, { redis_port: redis.port, redis_timeout: 1000 });
  await limits.fixedWindow('key', 9, 60, 1);
  redis.freeze();
  const asked = Array.from({ length: 50 }, () => Promise.resolve(limits.fixedWindow('key', 9, 60, 1)));
  for (const one of asked) await assert.rejects(one, UNAVAILABLE);
  // Thrown, not rejected: nobody waits for anything.
  for (let times = 0; times < 100; times++)
    assert.throws(() => limits.fixedWindow('key', 9, 60, 1), UNAVAILABLE);
  // It is given up then, and connections to it are accepted by the system and never answered.
  await eventually('a further connection was tried', () => attempts.length >= 2);
  assert.throws(() => limits.fixedWindow('key', 9, 60, 1), UNAVAILABLE);
  redis.thaw();
  await eventually('it is asked again', async () => (await limits.fixedWindow('other', 9, 60, 1)).allowed);
  assert.deepEqual(lines, [
    `Redis at 127.0.0.1:${redis.port} does not answer: no answer within 500 ms`,
    `Redis at 127.0.0.1:${redis.port} answers again`,
  ]);
});

test('a Redis that was slow for a moment keeps its connection', async (t) => {
  const redis = await RedisServer.start(t);
  const { limits, attempts } = machine(t, { redis_port: redis.port, redis_timeout: 10_000 });
  await limits.fixedWindow('key', 9, 60, 1);
  redis.freeze();
  await assert.rejects(async () => limits.fixedWindow('key', 9, 60, 1), UNAVAILABLE);
  redis.thaw();
  await eventually('it is asked again', async () => (await limits.fixedWindow('other', 9, 60, 1)).allowed);
  assert.equal(attempts.length, 1);
});

test('a Redis that dies is noticed at once and found again when it is back', async (t) => {
  const redis = await RedisServer.start(t);
  const { limits, lines } = machine(t, { redis_port: redis.port });
  await limits.fixedWindow('key', 9, 60, 1);
  await redis.kill();
  await assert.rejects(async () => {
    for (;;) await limits.fixedWindow('key', 1000, 60, 1);
  }, UNAVAILABLE);
  await RedisServer.start(t, { port: redis.port });
  await eventually('it is asked again', async () => (await limits.fixedWindow('key', 9, 60, 1)).allowed);
  assert.equal(lines.length, 2);
});

test('nobody waits for a Redis that was never there, and one connection at a time looks for it', async (t) => {
  const port = await freePort();
  const { limits, attempts } = machine(t, { redis_port: port });
  await assert.rejects(async () => limits.fixedWindow('key', 9, 60, 1), LimitsUnavailable);
  for (let times = 0; times < 1000; times++) {
    assert.throws(() => limits.fixedWindow('key', 9, 60, 1), UNAVAILABLE);
  }
  await sleep(50);
  assert.ok(attempts.length <= 2, `${attempts.length} connections for a thousand requests`);
});

test('a server that accepts and never speaks is connected to by one connection at a time', async (t) => {
  const open = new Set<Socket>();
  let most = 0;
  const silent = createServer((socket) => {
    open.add(
      socket
        .resume()
        .on('error', () => {})
        .on('close', () => open.delete(socket)),
    );
    most = Math.max(most, open.size);
  });
  t.after(() => {
    for (const socket of open) socket.destroy();
    silent.close();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const { limits, attempts } = machine(t, { redis_port: port, redis_timeout: 50 });
  const asked = Array.from({ length: 100 }, async () => limits.fixedWindow('key', 9, 60, 1));
  for (const one of asked) await assert.rejects(one, UNAVAILABLE);
  await eventually('it was tried several times', () => attempts.length >= 3);
  assert.equal(most, 1);
});

test('what is counted locally meanwhile is answered at once, by this machine', async (t) => {
  const redis = await RedisServer.start(t);
  const local = new NaiveLimits(new ManualClock());
  const { limits } = machine(t, { redis_port: redis.port }, { local });
  assert.equal((await limits.fixedWindow('key', 2, 60, 1)).remaining, 1);
  await redis.kill();
  await eventually('it is noticed', () => !(limits.fixedWindow('key', 2, 60, 1) instanceof Promise));
  assert.equal((await limits.fixedWindow('other', 2, 60, 1)).remaining, 1);
  assert.equal((await limits.fixedWindow('other', 2, 60, 1)).remaining, 0);
  assert.equal((await limits.fixedWindow('other', 2, 60, 1)).allowed, false);
  assert.equal((await limits.slidingWindow('slide', 1, 60, 1)).allowed, true);
  assert.equal((await limits.leakyBucket('bucket', 1, 0)).allowed, true);
});

test('requests that waited in vain are each counted once by the memory of this machine', async (t) => {
  const redis = await RedisServer.start(t);
  const state = new SharedState(allocateSharedState({ workers: 1, limitSlots: 32, ticketSlots: 32 }));
  const { limits } = machine(t, { redis_port: redis.port }, { local: state.limits });
  assert.equal((await limits.fixedWindow('key', 3, 60, 1)).allowed, true);
  redis.freeze();
  const asked = await Promise.all([
    ...Array.from({ length: 5 }, async () => limits.fixedWindow('key', 3, 60, 1)),
    ...Array.from({ length: 5 }, async () => limits.enter('room', 3)),
  ]);
  assert.deepEqual(
    asked.map(({ allowed }) => allowed),
    [true, true, true, false, false, true, true, true, false, false],
  );
});

test('who entered here leaves here, and who left while Redis was gone has left when it is back', async (t) => {
  const redis = await RedisServer.start(t);
  const local = new NaiveLimits(new ManualClock());
  const { limits } = machine(t, { redis_port: redis.port, redis_timeout: 10_000 }, { local });
  assert.deepEqual(await limits.enter('room', 5), { allowed: true, current: 1 });
  assert.deepEqual(await limits.enter('room', 5), { allowed: true, current: 2 });
  redis.freeze();
  // Decided here though Redis will still read it, and then one that Redis never hears of.
  assert.deepEqual(await limits.enter('room', 5), { allowed: true, current: 1 });
  assert.deepEqual(await limits.enter('room', 5), { allowed: true, current: 2 });
  assert.equal(local.inside.get('room'), 2);
  for (let times = 0; times < 4; times++) limits.leave('room');
  assert.equal(local.inside.get('room'), 0);
  redis.thaw();
  await eventually('Redis has nobody inside', async () => {
    const inside = await redis.command('ZCARD', 'sluice:inside:room');
    return inside === 0 && (await limits.enter('probe', 5)).current === 1;
  });
});

test('a Redis that comes back without its memory hears who is inside', async (t) => {
  const redis = await RedisServer.start(t);
  const { limits } = machine(t, { redis_port: redis.port });
  assert.equal((await limits.enter('room', 3)).current, 1);
  assert.equal((await limits.enter('room', 3)).current, 2);
  await redis.kill();
  const fresh = await RedisServer.start(t, { port: redis.port });
  await eventually('both are inside', async () => (await fresh.command('ZCARD', 'sluice:inside:room')) === 2);
  assert.equal((await limits.enter('room', 3)).current, 3);
  assert.equal((await limits.enter('room', 3)).allowed, false);
});

test('an error that Redis answers with is decided like its absence', async (t) => {
  const redis = await RedisServer.start(t);
  const { limits, lines } = machine(t, { redis_port: redis.port });
  await redis.command('LPUSH', 'sluice:fixed:key', 'not a number');
  await redis.command('EXPIRE', 'sluice:fixed:key', '60');
  await assert.rejects(async () => limits.fixedWindow('key', 9, 60, 1), UNAVAILABLE);
  assert.match(lines[0], /WRONGTYPE|wrong kind of value/);
  // Nobody else is disturbed by it.
  assert.equal((await limits.fixedWindow('other', 9, 60, 1)).allowed, true);
});

test('a wrong password is said without the password', async (t) => {
  const redis = await RedisServer.start(t, { args: ['--requirepass', 'right-horse'] });
  const { limits, lines } = machine(t, { redis_port: redis.port, redis_password: 'wrong-battery' });
  const thrown = await Promise.resolve()
    .then(() => limits.fixedWindow('key', 9, 60, 1))
    .then(
      () => assert.fail('it was let in'),
      (error: Error) => error,
    );
  const said = `${lines.join()} ${thrown.stack} ${JSON.stringify(thrown)}`;
  assert.match(said, /WRONGPASS/);
  assert.doesNotMatch(said, /wrong-battery/);
  const { limits: welcome } = machine(t, { redis_port: redis.port, redis_password: 'right-horse' });
  assert.equal((await welcome.fixedWindow('key', 9, 60, 1)).allowed, true);
});

test('users of the same Redis share a connection, and the last one takes it along', async (t) => {
  const { RedisLinks } = await import('../../src/state/redis/redis-links.ts');
  const { openRedis } = await import('../../src/state/redis/open-redis.ts');
  const { redisSettings } = await import('../../src/plugin/redis-settings.ts');
  const redis = await RedisServer.start(t);
  const log = { warn: () => {}, info: () => {} };
  const links = new RedisLinks({ log, random: Math.random, open: openRedis }, 20);
  t.after(() => links.close());
  const fields = { policy: 'redis', redis_host: '127.0.0.1', redis_port: redis.port };
  const first = links.acquire(redisSettings(fields));
  const second = links.acquire(redisSettings({ ...fields }));
  const other = links.acquire(redisSettings({ ...fields, redis_database: 3 }));
  assert.equal(first.link, second.link);
  assert.notEqual(first.link, other.link);
  const connected = async () => {
    const list = (await redis.command('CLIENT', 'LIST')) as string;
    return list.trim().split('\n').length - 1;
  };
  await eventually('both are connected', async () => (await connected()) === 2);
  first.release();
  other.release();
  await eventually('the unused one is gone', () => links.size === 1);
  // As a reload does it: let go by the old Runtime, and taken again by the new one before long.
  second.release();
  const third = links.acquire(redisSettings(fields));
  assert.equal(third.link, first.link);
  third.release();
  await eventually('nothing is left', async () => links.size === 0 && (await connected()) === 0);
});
