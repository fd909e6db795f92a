// Counters in a Redis cluster, through the silence and the death of a node.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keySlot } from '../../src/state/redis/key-slot.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { RedisServer } from '../support/redis-server.ts';
import { machine } from './redis-bench.ts';

const UNAVAILABLE = { name: 'LimitsUnavailable' };

/** A key whose counter lies on the node with that number. */
function keyOn(node: number): string {
  for (let number = 0; ; number++) {
    const slot = keySlot(`sluice:fixed:key ${number}`);
    if (Math.floor((slot * 3) / 16_384) === node) return `key ${number}`;
  }
}

test('a cluster counts for all machines, and one silent or dead node leaves the others alone', async (t) => {
  const nodes = await startCluster(t, freePort);
  const fields = {
    policy: 'redis-cluster',
    redis_cluster_nodes: nodes.map(({ port }) => `127.0.0.1:${port}`),
    redis_timeout: 1500,
  };
  const [first, second] = [machine(t, fields), machine(t, fields)];
  for (const node of [0, 1, 2]) {
    const key = keyOn(node);
    const asks = Array.from({ length: 60 }, (_, index) =>
      (index % 2 === 0 ? first : second).limits.fixedWindow(key, 10, 600, 1),
    );
    const verdicts = await Promise.all(asks);
    assert.equal(verdicts.filter(({ allowed }) => allowed).length, 10, `node ${node}`);
    assert.equal(await nodes[node].command('GET', `sluice:fixed:${key}`), '10', 'where we think it is');
  }

  const { limits, lines } = first;
  nodes[1].freeze();
  await assert.rejects(async () => limits.fixedWindow(keyOn(1), 10, 600, 1), UNAVAILABLE);
  for (let times = 0; times < 100; times++) {
    assert.throws(() => limits.fixedWindow(keyOn(1), 10, 600, 1), UNAVAILABLE);
    assert.equal((await limits.fixedWindow(keyOn(0), 1000, 600, 1)).allowed, true);
  }
  assert.match(
    lines[0],
    new RegExp(`does not answer: no answer within 500 ms from 127.0.0.1:${nodes[1].port}`),
  );
  nodes[1].thaw();
  await eventually(
    'it is asked again',
    async () => (await limits.fixedWindow(keyOn(1), 1000, 600, 1)).allowed,
  );

  await nodes[2].kill();
  await eventually('the dead one is noticed', async () => {
    try {
      await limits.fixedWindow(keyOn(2), 1000, 600, 1);
      return false;
    } catch {
      return true;
    }
  });
  assert.equal((await limits.fixedWindow(keyOn(0), 1000, 600, 1)).allowed, true);
  assert.equal((await limits.fixedWindow(keyOn(1), 1000, 600, 1)).allowed, true);
});

test('a password that a cluster does not take is said', async (t) => {
  const { port } = await RedisServer.start(t, {
    args: [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      `${await freePort()}`,
      '--requirepass',
      'right-horse',
    ],
  });
  const { limits, lines } = machine(t, {
    policy: 'redis-cluster',
    redis_cluster_nodes: [`127.0.0.1:${port}`],
    redis_password: 'wrong-battery',
  });
  await assert.rejects(async () => limits.fixedWindow('key', 10, 600, 1), UNAVAILABLE);
  assert.match(lines[0], /WRONGPASS/);
  assert.doesNotMatch(lines.join(), /wrong-battery/);
});

test('a cluster that is not there is said with the reason, and looked for again', async (t) => {
  const port = await freePort();
  const { limits, lines, attempts } = machine(t, {
    policy: 'redis-cluster',
    redis_cluster_nodes: [`127.0.0.1:${port}`],
  });
  await assert.rejects(async () => limits.fixedWindow('key', 10, 600, 1), UNAVAILABLE);
  assert.deepEqual(lines, [
    `the Redis cluster of 127.0.0.1:${port} does not answer: none of its servers can be reached`,
  ]);
  await eventually('it is looked for again', () => attempts.length > 1);
  assert.throws(() => limits.fixedWindow('key', 10, 600, 1), UNAVAILABLE);
});
