// Rollouts in a whole process: all workers count together, decide once, and keep to it across reloads.
import assert from 'node:assert/strict';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type Answering, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel } from '../support/http-call.ts';

async function setUp(t: TestContext, canaryAnswers: Answering, config: string) {
  const old = await startEcho(t);
  const canary = await startEcho(t, canaryAnswers);
  const text = (more = '') => `
workers: 2
routes:
  - id: orders
    uri: /orders/*
    plugins:
      slo-canary:
        upstream: { nodes: { "${canary.address}": 1 } }
        ${config}
    upstream: { nodes: { "${old.address}": 1 } }
${more}`;
  const gateway = await startWithFile(t, text());
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const load = (count: number) =>
    // Some over new connections, so that both workers have a part.
    inParallel(count, 8, (index) =>
      call(`${gateway.sluice.traffic}/orders/${index}`, { ...(index % 4 > 0 && { agent }) }),
    );
  const told = (message: string) => gateway.sluice.log.filter((line) => line.message === message);
  return { gateway, old, canary, load, told, text };
}

test('rolls a canary back that fails, once, and keeps it back', async (t) => {
  let requests = 0;
  const { gateway, canary, load, told, text } = await setUp(
    t,
    (_seen, response) => {
      if (++requests % 20 !== 0) return false;
      response.writeHead(500).end();
      return true;
    },
    'steps: [50, 100]\n        interval: 600\n        min_requests: 40\n        max_error_rate: 0.01',
  );
  await eventually('it is rolled back', async () => {
    await load(50);
    return told('canary rolled back').length > 0;
  });
  const [line] = told('canary rolled back');
  assert.deepEqual([line.route_id, line.from, line.to, line.reason], ['orders', 50, 0, 'max_error_rate']);
  type Side = { requests: number; errors: number };
  const sides = line as unknown as { canary: Side; baseline: Side };
  assert.ok(sides.canary.requests >= 40 && sides.canary.errors >= 1, JSON.stringify(line));
  assert.ok(sides.baseline.requests > 0);

  const share = async () =>
    /sluice_canary_share\{route="orders"\} (\d+)/.exec((await call(gateway.sluice.metrics)).body)?.[1];
  await eventually('the metrics have its share', async () => (await share()) === '0');
  gateway.write(text('  - { id: another, uri: /another, upstream: { nodes: { "127.0.0.1:1": 1 } } }\n'));
  await gateway.logged('configuration reloaded');
  const before = canary.requests.length;
  const answers = await load(100);
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(canary.requests.length, before);
  assert.equal(told('canary rolled back').length, 1);
  assert.equal(await share(), '0');
});

test('promotes a canary that does well, by its steps', async (t) => {
  const { old, load, told } = await setUp(
    t,
    () => false,
    'steps: [20, 60]\n        interval: 0.05\n        min_requests: 20\n        max_error_rate_increase: 0\n        max_latency: 30',
  );
  await eventually('it is promoted', async () => {
    await load(60);
    return told('canary promoted').length > 0;
  });
  const steps = ['canary started', 'canary advanced', 'canary promoted'].map((message) => {
    const lines = told(message);
    assert.equal(lines.length, 1, message);
    return [lines[0].from, lines[0].to];
  });
  assert.deepEqual(steps, [
    [0, 20],
    [20, 60],
    [60, 100],
  ]);
  const before = old.requests.length;
  await load(50);
  assert.equal(old.requests.length, before);
});
