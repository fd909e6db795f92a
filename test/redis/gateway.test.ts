// Whole gateways that count together: 2 processes × 2 workers on one Redis, and what they do without it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type EchoUpstream, type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, inParallel, tally } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';
import { RedisServer } from '../support/redis-server.ts';

function configuration(upstream: string, redis: string): string {
  const nodes = `upstream: { nodes: { '${upstream}': 1 } }`;
  // Where exactness is asked for, a slow machine must not look like a Redis that is gone.
  const patient = 'redis_timeout: 5000, redis_decision_timeout: 3000';
  const count = (more: string) =>
    `limit-count: { count: 40, time_window: 600, rejected_code: 429, key: all, key_type: constant, ${redis}${more} }`;
  return `
routes:
  - { id: exact, uri: /exact, ${nodes}, plugins: { ${count(`, ${patient}`)} } }
  - { id: sliding, uri: /sliding, ${nodes}, plugins: { ${count(`, window_type: sliding, ${patient}`)} } }
  - { id: refuse, uri: /refuse, ${nodes}, plugins: { ${count(', on_redis_failure: refuse')} } }
  - { id: allow, uri: /allow, ${nodes}, plugins: { ${count(', allow_degradation: true')} } }
  - { id: locally, uri: /locally, ${nodes}, plugins: { ${count(', on_redis_failure: count_locally')} } }
  - id: smooth
    uri: /smooth
    ${nodes}
    plugins: { limit-req: { rate: 0.01, burst: 3, nodelay: true, rejected_code: 429, key: server_protocol, ${redis}, ${patient} } }
  - id: few
    uri: /delay/*
    ${nodes}
    plugins: { limit-conn: { conn: 3, burst: 0, default_conn_delay: 0.1, rejected_code: 429, key: server_protocol, ${redis}, ${patient} } }
`;
}

async function startTwo(
  t: Scope,
): Promise<{ redis: RedisServer; upstream: EchoUpstream; both: SluiceProcess[] }> {
  const redis = await RedisServer.start(t, {
    args: ['--requirepass', 'redis-pass-1'],
    password: 'redis-pass-1',
  });
  const upstream = await startEcho(t);
  const fields = `policy: redis, redis_host: 127.0.0.1, redis_port: ${redis.port}, redis_password: redis-pass-1`;
  const text = configuration(upstream.address, fields);
  const gateways = await Promise.all(
    [1, 2].map(() => startWithFile(t, text, { workers: 2, accessLog: 'off' })),
  );
  return { redis, upstream, both: gateways.map(({ sluice }) => sluice) };
}

const statuses = (answers: readonly Answer[]) => tally(answers.map(({ status }) => status));

test('two gateways of two workers count together, and decide without Redis as each Route says', async (t) => {
  const { redis, upstream, both } = await startTwo(t);
  const everywhere = (target: string, times: number) =>
    Promise.all(both.map((sluice) => inParallel(times, 20, () => sluice.call(target)))).then((all) =>
      all.flat(),
    );

  assert.deepEqual(statuses(await everywhere('/exact', 200)), { 200: 40, 429: 360 });
  assert.deepEqual(statuses(await everywhere('/sliding', 100)), { 200: 40, 429: 160 });
  assert.deepEqual(statuses(await everywhere('/smooth', 10)), { 200: 4, 429: 16 });

  const refused = await both[0].call('/exact');
  assert.equal(refused.headers['x-ratelimit-limit'], '40');
  assert.equal(refused.headers['x-ratelimit-remaining'], '0');
  assert.ok(Number(refused.headers['x-ratelimit-reset']) > 500);
  assert.ok(Number(refused.headers['retry-after']) > 500);

  // Three are under way on one machine, so there is no room on the other.
  const arrived = upstream.requests.length;
  const aborter = new AbortController();
  const under = inParallel(3, 3, () =>
    both[0].call('/delay/20000', { signal: aborter.signal }).catch(() => {}),
  );
  await eventually('they have arrived', () => upstream.requests.length === arrived + 3);
  assert.equal((await both[1].call('/delay/0')).status, 429);
  aborter.abort();
  await under;
  await eventually('there is room again', async () => (await both[1].call('/delay/0')).status === 200);

  const decisions = async () => {
    const [refuse, allow] = [await both[0].call('/refuse'), await both[0].call('/allow')];
    return { refuse: refuse.status, body: refuse.body, allow: allow.status };
  };
  const without = { refuse: 500, body: '{"error_msg":"failed to limit count"}\n', allow: 200 };
  assert.equal((await both[0].call('/refuse')).headers['x-ratelimit-remaining'], '39');

  const connections = async (state: string) =>
    new RegExp(`^sluice_redis_connections\\{state="${state}"\\} ([1-9])`, 'm').test(
      (await call(both[0].metrics)).body,
    );
  await eventually('the metrics tell of the connections', () => connections('ready'));

  redis.freeze();
  assert.deepEqual(await decisions(), without);
  // Each machine counts for itself, exactly for its two workers.
  for (const sluice of both) {
    const answers = await inParallel(100, 20, () => sluice.call('/locally'));
    assert.deepEqual(statuses(answers), { 200: 40, 429: 60 });
    assert.ok(answers.every(({ headers }) => headers['x-ratelimit-limit'] === '40'));
  }
  await eventually('the metrics tell that they are down', () => connections('down'));
  redis.thaw();
  await eventually('Redis is asked again', async () => (await both[0].call('/refuse')).status === 200);

  await redis.kill();
  await eventually('it is noticed', async () => (await both[0].call('/refuse')).status === 500);
  assert.deepEqual(await decisions(), without);
  for (const sluice of both) assert.doesNotMatch(sluice.stderr + sluice.stdout, /redis-pass-1/);
  await RedisServer.start(t, { port: redis.port, args: ['--requirepass', 'redis-pass-1'] });
  await eventually('Redis is asked again', async () => (await both[0].call('/refuse')).status === 200);
});

test('a reload keeps the connection and the counters', async (t) => {
  const redis = await RedisServer.start(t);
  const upstream = await startEcho(t);
  const fields = `policy: redis, redis_host: 127.0.0.1, redis_port: ${redis.port}`;
  const gateway = await startWithFile(t, configuration(upstream.address, fields), { accessLog: 'off' });
  assert.equal((await gateway.sluice.call('/exact')).headers['x-ratelimit-remaining'], '39');
  const accepted = async () =>
    /total_connections_received:(\d+)/.exec(String(await redis.command('INFO', 'stats')))?.[1];
  const before = Number(await accepted());
  gateway.write(
    `${configuration(upstream.address, fields)}\n  - { id: new, uri: /new, upstream: { nodes: { '${upstream.address}': 1 } } }`,
  );
  await eventually('the new Route is there', async () => (await gateway.sluice.call('/new')).status === 200);
  assert.equal((await gateway.sluice.call('/exact')).headers['x-ratelimit-remaining'], '38');
  // Its own two questions are the only new connections.
  assert.equal(Number(await accepted()), before + 1);
});
