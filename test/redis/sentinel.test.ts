// Counters behind sentinels, through failovers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { startWatched } from '../support/redis-cluster.ts';
import { machine } from './redis-bench.ts';

test('sentinels say where the master is, and where it is after a failover', async (t) => {
  const { master, replica, sentinel } = await startWatched(t);
  const { limits } = machine(t, {
    policy: 'redis-sentinel',
    redis_sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
    redis_master_name: 'counters',
    redis_connect_timeout: 1500,
    redis_read_timeout: 1500,
  });
  assert.equal((await limits.fixedWindow('key', 10, 600, 1)).remaining, 9);
  await eventually('it is copied', async () => (await replica.command('GET', 'sluice:fixed:key')) === '1');
  await master.kill();
  await eventually('it is noticed', async () => {
    try {
      await limits.fixedWindow('meanwhile', 1000, 600, 1);
      return false;
    } catch {
      return true;
    }
  });
  await eventually(
    'the replica counts on',
    async () => {
      const verdict = await limits.fixedWindow('key', 10, 600, 1);
      return verdict.remaining === 8;
    },
    30_000,
  );
});

test('a master that was made a replica is left for the new one', async (t) => {
  const { master, replica } = await startWatched(t);
  const { limits, lines } = machine(t, { redis_port: master.port });
  assert.equal((await limits.fixedWindow('key', 10, 600, 1)).allowed, true);
  await replica.command('REPLICAOF', 'NO', 'ONE');
  await master.command('REPLICAOF', '127.0.0.1', `${replica.port}`);
  await assert.rejects(
    async () => {
      for (;;) await limits.fixedWindow('key', 1000, 600, 1);
    },
    { name: 'LimitsUnavailable' },
  );
  assert.match(lines[0], /READONLY|closed/);
  await master.command('REPLICAOF', 'NO', 'ONE');
  await eventually('it is asked again', async () => (await limits.fixedWindow('key', 1000, 600, 1)).allowed);
});
