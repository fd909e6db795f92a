// What load balancers and orchestrators ask, and what a reload and a lost worker leave of health.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call, inParallel, tally } from '../support/http-call.ts';

const FILES = {
  'crash.ts': `export const plugins = [{
    name: 'crash', summary: 'Ends its worker.', priority: 1, config: {},
    create: () => ({ access: () => process.exit(1) }),
  }];`,
};

test('the metrics address says whether every worker serves; readiness is lost with a worker and comes back', async (t) => {
  const upstream = await startEcho(t);
  const routes = [
    { id: 'crash', uri: '/crash', plugins: { crash: {} }, upstream: { nodes: { [upstream.address]: 1 } } },
  ];
  const { sluice } = await startWithFile(t, JSON.stringify({ plugins: ['crash.ts'], routes }), {
    name: 'sluice.json',
    files: FILES,
    workers: 2,
    accessLog: 'off',
  });
  const { origin } = new URL(sluice.metrics);
  const ask = (path: string) => call(`${origin}${path}`);
  assert.deepEqual((await ask('/status')).json(), { status: 'ok' });
  await eventually('it is ready', async () => (await ask('/status/ready')).status === 200);
  assert.deepEqual((await ask('/status/ready')).json(), { status: 'ok' });
  await assert.rejects(sluice.call('/crash'));
  const lost = await eventually('a worker is missing', async () => {
    const answer = await ask('/status/ready');
    return answer.status === 503 && answer;
  });
  assert.deepEqual(lost.json(), { status: 'error', error: 'worker count: 2 but status report count: 1' });
  assert.equal((await ask('/status')).status, 200);
  await eventually('it is ready again', async () => (await ask('/status/ready')).status === 200);
});

test('an address of its own answers also without metrics, and says so when the process stops', async (t) => {
  const port = await freePort();
  let answerNow = () => {};
  const upstream = await startEcho(t, (_seen, response) => {
    answerNow = () => response.end('late');
    return true;
  });
  const routes = [{ id: 'all', uri: '/*', upstream: { nodes: { [upstream.address]: 1 } } }];
  const settings = { metrics: { enabled: false }, status: { address: `127.0.0.1:${port}` } };
  const { sluice } = await startWithFile(t, JSON.stringify({ ...settings, routes }), {
    name: 'sluice.json',
    workers: 1,
  });
  const ask = (path: string) => call(`http://127.0.0.1:${port}${path}`);
  assert.deepEqual((await ask('/status/ready')).json(), { status: 'ok' });
  assert.equal((await ask('/other')).status, 404);
  assert.equal((await call(`http://127.0.0.1:${port}/status`, { method: 'POST' })).status, 405);
  const pending = sluice.call('/');
  await eventually('the request is under way', () => upstream.requests.length === 1);
  sluice.signal('SIGTERM');
  const stopping = await eventually('it is no longer ready', async () => {
    const answer = await ask('/status/ready');
    return answer.status === 503 && answer;
  });
  assert.deepEqual(stopping.json(), { status: 'error', error: 'stopping' });
  answerNow();
  assert.equal((await pending).body, 'late');
  assert.equal((await sluice.exited).code, 0);
});

test('health and an open breaker outlive a worker and a reload; explain shows both and moves neither', async (t) => {
  const good = await startEcho(t);
  const bad = await startEcho(t, (_seen, response) => {
    response.writeHead(500).end();
    return true;
  });
  const config = (desc: string) =>
    JSON.stringify({
      plugins: ['crash.ts'],
      admin: { address: '127.0.0.1:0', keys: [{ name: 'test', key: 'test-key' }] },
      routes: [
        {
          id: 'two',
          uri: '/two',
          desc,
          upstream: {
            nodes: { [good.address]: 1, [bad.address]: 1 },
            checks: { passive: { unhealthy: { http_failures: 1 } } },
          },
        },
        {
          id: 'broken',
          uri: '/broken',
          desc,
          upstream: {
            nodes: { [bad.address]: 1 },
            circuit_breaker: { min_requests: 3, open_seconds: 600 },
          },
        },
        {
          id: 'plugin',
          uri: '/plugin/*',
          desc,
          plugins: {
            'api-breaker': { break_response_code: 599, unhealthy: { failures: 1 } },
          },
          upstream: { nodes: { [bad.address]: 1 } },
        },
        { id: 'crash', uri: '/crash', plugins: { crash: {} }, upstream: { nodes: { [good.address]: 1 } } },
      ],
    });
  const gateway = await startWithFile(t, config('one'), {
    name: 'sluice.json',
    files: FILES,
    workers: 2,
    accessLog: 'off',
  });
  const { sluice } = gateway;
  const statuses = async (path: string, count: number) =>
    tally(await inParallel(count, 4, async () => (await sluice.call(path)).status));
  const explain = async (url: string) => {
    const answer = await call(`${sluice.adminOrigin}/apisix/admin/explain`, {
      method: 'POST',
      headers: { 'X-API-KEY': 'test-key' },
      body: JSON.stringify({ url }),
    });
    return answer.json().verdict;
  };
  for (const path of ['/two', '/broken', '/plugin/a']) await statuses(path, 8);
  const hold = async () => {
    assert.deepEqual(await statuses('/two', 8), { 200: 8 });
    assert.deepEqual(await statuses('/broken', 4), { 503: 4 });
    const verdict = await explain('http://a/two');
    assert.deepEqual(verdict.upstream.unhealthy, [bad.address]);
    assert.equal(verdict.target, good.address);
    assert.equal((await explain('http://a/broken')).reason, 'circuit_open');
  };
  assert.deepEqual(await statuses('/plugin/a', 4), { 599: 4 });
  await gateway.logged('the circuit breaker of routes/broken is open');
  await eventually('the metrics show it', async () =>
    (await call(sluice.metrics)).body.includes('sluice_circuit_state{name="/apisix/routes/broken"} 2\n'),
  );
  await hold();
  gateway.write(config('other'));
  await gateway.logged('configuration reloaded');
  await hold();
  await assert.rejects(sluice.call('/crash'));
  await gateway.logged('is replaced');
  await eventually('the worker is back', async () => (await statuses('/two', 8))[200] === 8);
  await hold();
});
