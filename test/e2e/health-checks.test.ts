// Targets that die and come back, seen by two workers.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call, inParallel, tally } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';
import { RawClient } from '../support/raw.ts';
import { startStreamTarget } from '../support/stream-target.ts';

type Scope = Parameters<typeof startEcho>[0];

/** An upstream whose health the test decides. */
async function startFickle(scope: Scope) {
  const state = { status: 200, probes: [] as http.IncomingMessage[] };
  const echo = await startEcho(scope, (seen, response, request) => {
    if (seen.url.startsWith('/health')) {
      state.probes.push(request);
      response.writeHead(state.status).end();
      return true;
    }
    if (state.status === 200) return false;
    response.writeHead(state.status).end();
    return true;
  });
  return Object.assign(echo, { state });
}

const ADMIN = { enabled: true, address: '127.0.0.1:0', keys: [{ name: 'test', key: 'test-key' }] };

async function serve(scope: Scope, upstream: object, workers = 2): Promise<SluiceProcess> {
  const routes = [{ id: 'all', uri: '/*', upstream_id: 'u' }];
  const upstreams = [{ id: 'u', ...upstream }];
  const text = JSON.stringify({ routes, upstreams, admin: ADMIN });
  const { sluice } = await startWithFile(scope, text, { name: 'sluice.json', workers, accessLog: 'off' });
  return sluice;
}

async function shares(sluice: SluiceProcess, count: number): Promise<Record<string, number>> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const answers = await inParallel(count, 8, async () => {
    const answer = await sluice.call('/', { agent });
    return answer.status === 200 ? String(answer.json().upstream) : `status ${answer.status}`;
  });
  agent.destroy();
  return tally(answers);
}

async function health(sluice: SluiceProcess, path = 'healthcheck/upstreams/u') {
  const answer = await call(`${sluice.adminOrigin}/apisix/admin/${path}`, {
    headers: { 'X-API-KEY': 'test-key' },
  });
  return answer.json();
}

async function statusOf(sluice: SluiceProcess, port: number): Promise<string | undefined> {
  const { nodes } = await health(sluice);
  return nodes.find((node: { port: number }) => node.port === port)?.status;
}

const ACTIVE = {
  type: 'http',
  http_path: '/health?deep',
  req_headers: ['X-Probe: yes'],
  healthy: { interval: 1, successes: 1 },
  unhealthy: { interval: 1, http_failures: 1, tcp_failures: 1 },
};

describe('health checks', { concurrency: 3 }, () => {
  test('a Target whose probes fail gets no request, and gets its share again when they succeed', async (t) => {
    const [a, b] = [await startFickle(t), await startFickle(t)];
    const sluice = await serve(t, { nodes: { [a.address]: 1, [b.address]: 1 }, checks: { active: ACTIVE } });
    assert.deepEqual(await shares(sluice, 20), { [a.port]: 10, [b.port]: 10 });
    a.state.status = 503;
    await eventually(
      'a is seen to be unhealthy',
      async () => (await statusOf(sluice, a.port)) === 'unhealthy',
    );
    assert.deepEqual(await shares(sluice, 20), { [b.port]: 20 });

    const metrics = await call(sluice.metrics);
    assert.match(
      metrics.body,
      new RegExp(
        `apisix_upstream_status\\{name="/apisix/upstreams/u",ip="127.0.0.1",port="${a.port}"\\} 0\n`,
      ),
    );
    assert.match(metrics.body, new RegExp(`apisix_upstream_status\\{.*port="${b.port}"\\} 1\n`));
    assert.ok(
      sluice.log.some(({ message }) => message === `Target ${a.address} of upstreams/u is unhealthy`),
    );

    a.state.status = 200;
    await eventually('a is healthy again', async () => (await statusOf(sluice, a.port)) === 'healthy');
    assert.deepEqual(await shares(sluice, 20), { [a.port]: 10, [b.port]: 10 });
    const [probe] = a.state.probes;
    assert.equal(probe.url, '/health?deep');
    assert.equal(probe.headers['x-probe'], 'yes');
    assert.equal(probe.headers.host, a.address);
  });

  test('health is shown as in APISIX, by resource and for all', async (t) => {
    const a = await startFickle(t);
    const sluice = await serve(t, { nodes: { [a.address]: 1 }, checks: { active: ACTIVE } }, 1);
    const expected = {
      name: '/apisix/upstreams/u',
      type: 'http',
      nodes: [
        {
          ip: '127.0.0.1',
          port: a.port,
          status: 'healthy',
          counter: { success: 0, tcp_failure: 0, http_failure: 0, timeout_failure: 0 },
        },
      ],
    };
    assert.deepEqual(await health(sluice), expected);
    assert.deepEqual(await health(sluice, 'healthcheck'), [expected]);
    assert.deepEqual(await health(sluice, 'healthcheck/routes/all'), {
      error_msg: 'no checker for routes[all]',
    });
    assert.deepEqual(await health(sluice, 'healthcheck/upstreams/x'), {
      error_msg: 'upstreams[x] not found',
    });
  });

  test('what two workers see is counted together, and time brings a Target back where nothing probes it', async (t) => {
    const [a, b] = [await startFickle(t), await startFickle(t)];
    const passive = { ejection_seconds: 2, unhealthy: { http_failures: 4 } };
    const sluice = await serve(t, { nodes: { [a.address]: 1, [b.address]: 1 }, checks: { passive } });
    a.state.status = 500;
    const before = a.requests.length;
    const found = await shares(sluice, 40);
    // Four failures are enough; with eight at once, a few more may be under way by then.
    const failed = a.requests.length - before;
    assert.equal(found['status 500'], failed);
    assert.ok(failed >= 4 && failed <= 4 + 8, `${failed} requests reached it`);
    a.state.status = 200;
    await eventually('it is tried again', async () => (await shares(sluice, 4))[a.port] !== undefined);
    await eventually('it is healthy again', async () => {
      await shares(sluice, 4);
      return (await statusOf(sluice, a.port)) === 'healthy';
    });
    assert.deepEqual(await shares(sluice, 20), { [a.port]: 10, [b.port]: 10 });
  });

  test('a Target that refuses connections is found out by traffic, and costs no client anything', async (t) => {
    const b = await startFickle(t);
    const dead = await freePort();
    const nodes = { [`127.0.0.1:${dead}`]: 1, [b.address]: 1 };
    const sluice = await serve(t, { nodes, checks: { passive: { unhealthy: { tcp_failures: 2 } } } });
    assert.deepEqual(await shares(sluice, 20), { [b.port]: 20 });
    assert.equal(await statusOf(sluice, dead), 'unhealthy');
  });

  test('when all are unhealthy all are tried, and the reserve of lower priority stands in before that', async (t) => {
    const [a, b, reserve] = [await startFickle(t), await startFickle(t), await startFickle(t)];
    const node = (port: number, priority: number) => ({ host: '127.0.0.1', port, weight: 1, priority });
    const sluice = await serve(t, {
      nodes: [node(a.port, 1), node(b.port, 1), node(reserve.port, 0)],
      checks: { active: ACTIVE },
    });
    a.state.status = b.state.status = 500;
    for (const { port } of [a, b])
      await eventually(`${port} is out`, async () => (await statusOf(sluice, port)) === 'unhealthy');
    assert.deepEqual(await shares(sluice, 10), { [reserve.port]: 10 });
    reserve.state.status = 500;
    await eventually('all are out', async () => (await statusOf(sluice, reserve.port)) === 'unhealthy');
    const asked = a.requests.length;
    assert.deepEqual(await shares(sluice, 10), { 'status 500': 10 });
    assert.ok(a.requests.length > asked, 'the first priority is tried as if all were well');
  });

  test('health survives a reload, and a removed Target is no longer probed', async (t) => {
    const [a, b] = [await startFickle(t), await startFickle(t)];
    const upstream = (nodes: object, more: object = {}) =>
      JSON.stringify({
        admin: ADMIN,
        routes: [{ id: 'all', uri: '/*', upstream_id: 'u' }],
        upstreams: [{ id: 'u', nodes, checks: { active: ACTIVE }, ...more }],
      });
    const both = { [a.address]: 1, [b.address]: 1 };
    const gateway = await startWithFile(t, upstream(both), {
      name: 'sluice.json',
      workers: 2,
      accessLog: 'off',
    });
    const { sluice } = gateway;
    a.state.status = 500;
    await eventually('a is out', async () => (await statusOf(sluice, a.port)) === 'unhealthy');
    gateway.write(upstream(both, { desc: 'changed' }));
    await gateway.logged('configuration reloaded');
    assert.deepEqual(await shares(sluice, 10), { [b.port]: 10 });
    gateway.write(upstream({ [b.address]: 1 }));
    await eventually('it is gone from the view', async () => (await statusOf(sluice, a.port)) === undefined);
    const probes = a.state.probes.length;
    const others = b.state.probes.length;
    await eventually('the other one was probed twice', () => b.state.probes.length >= others + 2);
    assert.equal(a.state.probes.length, probes);
  });

  test('connections of streams find out dead Targets, too', async (t) => {
    const live = await startStreamTarget(t, { greeting: 'live\n' });
    const dead = await freePort();
    const { sluice } = await startWithFile(
      t,
      JSON.stringify({
        admin: ADMIN,
        listeners: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0', protocol: 'tcp' }],
        stream_routes: [
          {
            id: 's',
            upstream: {
              scheme: 'tcp',
              nodes: { [`127.0.0.1:${live.port}`]: 1, [`127.0.0.1:${dead}`]: 1 },
              checks: { passive: { type: 'tcp', unhealthy: { tcp_failures: 1 }, ejection_seconds: 600 } },
            },
          },
        ],
      }),
      { name: 'sluice.json', workers: 2, accessLog: 'off', keepListeners: true },
    );
    for (let i = 0; i < 4; i++) {
      const client = await RawClient.connect(sluice.ports[1]);
      await client.has('live\n');
      client.destroy();
    }
    const { nodes } = await health(sluice, 'healthcheck/stream_routes/s');
    const statuses = nodes.map(({ port, status }: { port: number; status: string }) => [port, status]);
    assert.deepEqual(
      new Map(statuses),
      new Map<number, string>([
        [live.port, 'healthy'],
        [dead, 'unhealthy'],
      ]),
    );
  });
});
