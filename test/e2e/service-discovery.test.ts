// Services that registries know, as clients of the whole gateway see them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type EchoUpstream, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel, tally } from '../support/http-call.ts';
import { PacedClient } from '../support/paced-client.ts';
import { type Registered, registries } from '../support/registries.ts';

const at = ({ port }: EchoUpstream, weight = 1): Registered => ({ host: '127.0.0.1', port, weight });

describe('service discovery', { concurrency: 2 }, () => {
  test('a registry that is down at the start is a 503, and traffic flows once it is there', async (t) => {
    const registry = await registries.consul(t);
    const upstream = await startEcho(t);
    registry.set('orders', [at(upstream)]);
    await registry.down();
    const { sluice } = await startWithFile(
      t,
      JSON.stringify({
        discovery: { consul: registry.settings },
        routes: [{ id: 'a', uri: '/*', upstream: { discovery_type: 'consul', service_name: 'orders' } }],
      }),
      { name: 'sluice.json', workers: 2, accessLog: 'off' },
    );
    assert.equal((await sluice.call('/')).status, 503);
    await registry.up();
    await eventually('it is there', async () => (await sluice.call('/')).status === 200);
  });

  test('nobody notices 50 changes of a set, a replaced worker or a reload; Targets that stay keep their connections', async (t) => {
    const registry = await registries.file(t);
    const stays = await startEcho(t);
    const others = await Promise.all([startEcho(t), startEcho(t), startEcho(t)]);
    const set = (round: number) => [
      at(stays),
      ...others.slice(0, round % 4).map((one) => at(one, 1 + (round % 5))),
    ];
    registry.set('orders', set(1));
    const service = { discovery_type: 'file', service_name: 'orders' };
    const config = (desc: string) =>
      JSON.stringify({
        plugins: ['crash.ts'],
        discovery: { file: registry.settings },
        routes: [
          { id: 'a', uri: '/a', desc, upstream: { ...service, type: 'least_conn', checks: { passive: {} } } },
          { id: 'b', uri: '/b', desc, upstream: service },
          { id: 'crash', uri: '/crash', plugins: { crash: {} }, upstream: service },
        ],
      });
    const gateway = await startWithFile(t, config('one'), {
      name: 'sluice.json',
      files: {
        'crash.ts': `export const plugins = [{
        name: 'crash', summary: 'Ends its worker.', priority: 1, config: {},
        create: () => ({ access: () => process.exit(1) }),
      }];`,
      },
      workers: 2,
      accessLog: 'off',
    });
    const { sluice } = gateway;
    const clients = ['/a', '/b'].map(
      (path) =>
        new PacedClient(t, {
          port: sluice.port,
          request: `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`,
          connections: 4,
        }),
    );
    const told = () => sluice.log.filter(({ message }) => message.startsWith('file/orders has')).length;
    for (let round = 2; round < 52; round++) {
      const before = told();
      registry.set('orders', set(round));
      await eventually('the set is taken', () => told() > before);
    }
    gateway.write(config('other'));
    await gateway.logged('configuration reloaded');
    for (const client of clients) {
      const { statuses } = await client.report();
      assert.deepEqual(Object.keys(statuses), ['200']);
      assert.ok(statuses[200] > 50, `${statuses[200]} requests`);
    }
    // 8 clients on 2 workers: more would be opened if a set made connections anew.
    assert.ok(stays.connections <= 16, `${stays.connections} connections to the Target that stayed`);

    await assert.rejects(sluice.call('/crash'));
    await gateway.logged('is replaced');
    registry.set('orders', [at(others[0])]);
    await eventually('every worker has the new set', async () => {
      const answers = await inParallel(16, 4, async () => (await sluice.call('/b')).json().upstream);
      return answers.every((port) => port === others[0].port);
    });
  });

  test('services that a Change names are there with it, also inside of a Plugin; those that nobody names any more are let go', async (t) => {
    const registry = await registries.consul(t);
    const [one, two] = await Promise.all([startEcho(t), startEcho(t)]);
    registry.set('one', [at(one)]);
    registry.set('two', [at(two)]);
    const config = (resources: object) =>
      JSON.stringify({
        discovery: { consul: registry.settings },
        admin: { address: '127.0.0.1:0', keys: [{ name: 'test', key: 'test-key' }] },
        ...resources,
      });
    const discovered = (name: string) => ({ discovery_type: 'consul', service_name: name });
    const gateway = await startWithFile(
      t,
      config({ routes: [{ id: 'a', uri: '/*', upstream: { nodes: { [one.address]: 1 } } }] }),
      { name: 'sluice.json', workers: 2, accessLog: 'off' },
    );
    const { sluice } = gateway;
    const view = () =>
      call(`${sluice.adminOrigin}/apisix/admin/discovery/consul/dump`, {
        headers: { 'X-API-KEY': 'test-key' },
      });
    assert.equal((await view()).status, 404);
    const client = new PacedClient(t, {
      port: sluice.port,
      request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      connections: 4,
    });
    gateway.write(config({ routes: [{ id: 'a', uri: '/*', upstream: discovered('one') }] }));
    await gateway.logged('configuration reloaded');
    gateway.write(
      config({
        routes: [
          {
            id: 'a',
            uri: '/*',
            plugins: {
              'traffic-split': { rules: [{ weighted_upstreams: [{ upstream: discovered('two') }] }] },
            },
            upstream: { nodes: { [one.address]: 1 } },
          },
        ],
      }),
    );
    await eventually(
      'the Plugin sends there',
      async () => (await sluice.call('/')).json().upstream === two.port,
    );
    await eventually('only one is followed', async () => {
      const { services } = (await view()).json();
      return Object.keys(services).join() === 'two';
    });
    assert.deepEqual(Object.keys((await client.report()).statuses), ['200']);
  });

  test('checks follow the set: a Target that comes is probed, one that goes is forgotten', async (t) => {
    const registry = await registries.file(t);
    const [good, bad] = await Promise.all([
      startEcho(t),
      startEcho(t, (_seen, response) => {
        response.writeHead(500).end();
        return true;
      }),
    ]);
    registry.set('orders', [at(good)]);
    const { sluice } = await startWithFile(
      t,
      JSON.stringify({
        discovery: { file: registry.settings },
        admin: { address: '127.0.0.1:0', keys: [{ name: 'test', key: 'test-key' }] },
        routes: [
          {
            id: 'a',
            uri: '/*',
            upstream: {
              discovery_type: 'file',
              service_name: 'orders',
              checks: { active: { healthy: { interval: 1 }, unhealthy: { interval: 1, http_failures: 1 } } },
            },
          },
        ],
      }),
      { name: 'sluice.json', workers: 2, accessLog: 'off' },
    );
    const health = async () => {
      const answer = await call(`${sluice.adminOrigin}/apisix/admin/healthcheck/routes/a`, {
        headers: { 'X-API-KEY': 'test-key' },
      });
      return Object.fromEntries(
        (answer.json().nodes as { port: number; status: string }[]).map(({ port, status }) => [port, status]),
      );
    };
    assert.deepEqual(Object.keys(await health()), [String(good.port)]);
    registry.set('orders', [at(good), at(bad)]);
    await eventually('it is found unhealthy', async () => (await health())[bad.port] === 'unhealthy');
    assert.deepEqual(tally(await inParallel(8, 4, async () => (await sluice.call('/')).status)), { 200: 8 });
    registry.set('orders', [at(good)]);
    await eventually('it is forgotten', async () => !(bad.port in (await health())));
  });
});
