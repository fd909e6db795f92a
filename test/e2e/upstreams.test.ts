import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type EchoUpstream, fieldOf, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { type CallOptions, inParallel, tally } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';

type Scope = Parameters<typeof startEcho>[0];

/** Serves a Route `/*` to an Upstream; `more` is YAML of a flow map. */
async function balance(t: Scope, upstream: object, settings: object = {}): Promise<SluiceProcess> {
  const routes = [{ id: 'all', uri: '/*', upstream }];
  const { sluice } = await startWithFile(t, JSON.stringify({ ...settings, routes }), {
    name: 'sluice.json',
    workers: 2,
    accessLog: 'off',
  });
  return sluice;
}

/** How often each upstream (by port) answered. */
async function shares(
  sluice: SluiceProcess,
  count: number,
  options: (index: number) => CallOptions & { target?: string } = () => ({}),
): Promise<Record<string, number>> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
  const answers = await inParallel(count, 16, async (index) => {
    const { target = '/', ...rest } = options(index);
    const answer = await sluice.call(target, { agent, ...rest });
    return answer.status === 200 ? String(answer.json().upstream) : `status ${answer.status}`;
  });
  agent.destroy();
  return tally(answers);
}

const node = ({ port }: Pick<EchoUpstream, 'port'>, weight: number, priority = 0) => ({
  host: '127.0.0.1',
  port,
  weight,
  priority,
});

test('weights of 3 and 1 share requests as 75 to 25, over both workers', async (t) => {
  const [a, b] = [await startEcho(t), await startEcho(t)];
  const sluice = await balance(t, { nodes: { [a.address]: 3, [b.address]: 1 } });
  const found = await shares(sluice, 4000);
  assert.equal(found[a.port] + found[b.port], 4000);
  assert.ok(Math.abs(found[a.port] - 3000) <= 80, JSON.stringify(found));
});

test('chash sends the same key to the same Target, on every worker', async (t) => {
  const upstreams = [await startEcho(t), await startEcho(t), await startEcho(t)];
  const nodes = Object.fromEntries(upstreams.map(({ address }) => [address, 1]));
  const sluice = await balance(t, { type: 'chash', hash_on: 'header', key: 'X-User', nodes });
  const used = new Set<string>();
  // Where the keys go depends on the ports. With sixty, a Target without any is out of the question.
  for (let user = 0; user < 60; user++) {
    const found = await shares(sluice, 16, () => ({ headers: { 'X-User': `user-${user}` } }));
    assert.equal(Object.keys(found).length, 1, JSON.stringify(found));
    used.add(Object.keys(found)[0]);
  }
  assert.equal(used.size, 3, 'different keys use all of them');
});

for (const type of ['least_conn', 'ewma']) {
  test(`${type} shifts requests away from a slow Target`, async (t) => {
    const fast = await startEcho(t);
    const slow = await startEcho(t, (seen, response) => {
      setTimeout(() => response.end(JSON.stringify({ ...seen, upstream: slow.port })), 50);
      return true;
    });
    const sluice = await balance(t, { type, nodes: { [fast.address]: 1, [slow.address]: 1 } });
    await shares(sluice, 32);
    const found = await shares(sluice, 400);
    assert.equal(found[fast.port] + (found[slow.port] ?? 0), 400);
    assert.ok(found[fast.port] > 300, JSON.stringify(found));
  });
}

test('Targets of a lower priority are used when those of a higher one fail', async (t) => {
  const [first, second] = [await startEcho(t), await startEcho(t)];
  const sluice = await balance(t, { nodes: [node(first, 1, 10), node(second, 1, 0)] });
  assert.deepEqual(await shares(sluice, 20), { [first.port]: 20 });
  await first.close();
  assert.deepEqual(await shares(sluice, 20), { [second.port]: 20 });
});

test('a Target that refuses is retried elsewhere, as often as is configured', async (t) => {
  const live = await startEcho(t);
  const dead = [await freePort(), await freePort()];
  const nodes = [node(live, 1), ...dead.map((port) => node({ port }, 1))];
  const retrying = await balance(t, { nodes });
  assert.deepEqual(await shares(retrying, 30, () => ({ method: 'POST', body: 'text' })), { [live.port]: 30 });
  assert.ok(live.requests.every(({ body }) => body === 'text'));
  await retrying.kill();
  const strict = await balance(t, { nodes, retries: 0 });
  const found = await shares(strict, 30);
  assert.equal(found[live.port] + found['status 502'], 30, JSON.stringify(found));
  assert.ok(found['status 502'] >= 15, JSON.stringify(found));
});

test('a request whose answer has begun, or may have been acted on, is not repeated', async (t) => {
  const breaking = await startEcho(t, (seen, response) => {
    if (seen.url === '/begun') response.writeHead(200, { 'Content-Length': '100' }).write('half');
    setTimeout(() => response.destroy(), 10);
    return true;
  });
  const sound = await startEcho(t);
  const sluice = await balance(t, { nodes: [node(breaking, 1, 10), node(sound, 1, 0)] });
  await assert.rejects(sluice.call('/begun'));
  assert.equal((await sluice.call('/order', { method: 'POST', body: '{}' })).status, 502);
  assert.deepEqual(sound.requests, []);
  assert.deepEqual(
    breaking.requests.map(({ method, url }) => `${method} ${url}`),
    ['GET /begun', 'POST /order'],
  );
});

test('pass_host chooses the Host that the Target sees', async (t) => {
  const upstream = await startEcho(t);
  const nodes = { [`localhost:${upstream.port}`]: 1 };
  const cases = [
    [{}, 'client.example'],
    [{ pass_host: 'pass' }, 'client.example'],
    [{ pass_host: 'node' }, `localhost:${upstream.port}`],
    [{ pass_host: 'rewrite', upstream_host: 'inside.example' }, 'inside.example'],
  ] as const;
  const routes = cases.map(([more], index) => ({
    id: `r${index}`,
    uri: `/r${index}`,
    upstream: { nodes, ...more },
  }));
  const { sluice } = await startWithFile(t, JSON.stringify({ routes }), { name: 'sluice.json' });
  for (const [index, [, host]] of cases.entries()) {
    const answer = await sluice.call(`/r${index}`, { headers: { Host: 'client.example' } });
    assert.equal(fieldOf(answer.json().rawHeaders, 'Host'), host);
    assert.equal(fieldOf(answer.json().rawHeaders, 'X-Forwarded-Host'), 'client.example');
  }
});

test('connections to a Target are used again, as long as keepalive_pool says', async (t) => {
  const upstream = await startEcho(t);
  const nodes = { [upstream.address]: 1 };
  const pool = (more: object) => ({
    nodes,
    keepalive_pool: { size: 320, idle_timeout: 60, requests: 1000, ...more },
  });
  const routes = [
    { id: 'kept', uri: '/kept', upstream: pool({}) },
    { id: 'unlike', uri: '/unlike', upstream: pool({}) },
  ];
  const { sluice } = await startWithFile(t, JSON.stringify({ routes }), { name: 'sluice.json', workers: 1 });
  for (let index = 0; index < 20; index++) await sluice.call(index % 2 ? '/kept' : '/unlike');
  assert.equal(upstream.connections, 1, 'one after another need one connection, whatever the Route');
  await sluice.kill();

  const { sluice: once } = await startWithFile(
    t,
    JSON.stringify({ routes: [{ id: 'once', uri: '/once', upstream: pool({ requests: 5 }) }] }),
    { name: 'sluice.json', workers: 1 },
  );
  const before = upstream.connections;
  for (let index = 0; index < 20; index++) await once.call('/once');
  assert.equal(upstream.connections - before, 4);
});

test('a connection that the Target closed meanwhile costs no request', async (t) => {
  const upstream = await startEcho(t);
  const sluice = await balance(t, { nodes: { [upstream.address]: 1 } });
  for (let round = 0; round < 5; round++) {
    assert.deepEqual(await shares(sluice, 32), { [upstream.port]: 32 });
    upstream.server.closeIdleConnections();
  }
  await eventually('the last ones are closed', () => shares(sluice, 4));
});
