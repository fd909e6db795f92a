// Consul in particular: indexes, tokens, several servers.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { consul } from '../../src/discovery/consul.ts';
import { withDefaults } from '../../src/lib/json-schema.ts';
import { ConsulServer } from '../support/consul-server.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';

function follow(scope: Scope, config: Readonly<Record<string, unknown>>, service = 'orders') {
  const seen = { hosts: undefined as string | undefined, problem: undefined as string | undefined };
  const pauses: number[] = [];
  const discovery = consul.create(withDefaults(consul.config, config) as never, {
    async delay(milliseconds, signal) {
      pauses.push(milliseconds);
      await sleep(Math.min(milliseconds, 10), undefined, { signal }).catch(() => {});
    },
    random: () => 0.5,
    environment: {},
    dnsServers: [],
    folder: '/',
  });
  const stop = discovery.watch(service, {
    onTargets(targets) {
      seen.hosts = targets.map(({ host, port, weight }) => `${host}:${port}*${weight}`).join();
    },
    onTrouble(problem) {
      seen.problem = problem;
    },
  });
  scope.after(stop);
  return { seen, pauses };
}

test('waits for changes with the index that it knows, and begins anew with one that fell back', async (t) => {
  const server = await ConsulServer.start(t);
  server.register('orders', [{ address: '10.0.0.1', port: 80 }]);
  const { seen } = follow(t, { servers: [server.http.origin], timeout: { wait: 60 } });
  await eventually('it waits', () => server.queries.length === 2);
  assert.equal(server.queries[0].get('index'), null);
  assert.equal(server.queries[1].get('index'), '11');
  assert.equal(server.queries[1].get('wait'), '60s');
  assert.equal(server.queries[1].get('passing'), 'true');
  server.register('orders', [{ address: '10.0.0.2', port: 80 }]);
  await eventually('the change', () => seen.hosts === '10.0.0.2:80*1');
  await eventually('it waits again', () => server.queries.at(-1)?.get('index') === '12');
  server.restore();
  await eventually('it asks without an index', () => server.queries.at(-2)?.get('index') === null);
  await eventually('it waits with the new one', () => server.queries.at(-1)?.get('index') === '1');
  server.register('orders', [{ address: '10.0.0.3', port: 80 }]);
  await eventually('the change after it', () => seen.hosts === '10.0.0.3:80*1');
});

test('answers without news are asked for ever more seldom', async (t) => {
  const server = await ConsulServer.start(t);
  const { seen, pauses } = follow(t, { servers: [server.http.origin] });
  await eventually('it is unknown', () => seen.hosts === '');
  for (let round = 0; round < 4; round++) {
    const asked = server.queries.length;
    server.churn();
    await eventually('it is asked again', () => server.queries.length > asked);
  }
  assert.ok(
    pauses.slice(1).every((pause) => pause >= 250),
    pauses.join(),
  );
});

test('uses the weights of Consul, the address of the node where a service has none, and passing instances only', async (t) => {
  const server = await ConsulServer.start(t);
  server.register('orders', [
    { address: '', port: 80, weight: 3 },
    { address: '10.0.0.2', port: 81, status: 'critical' },
    { address: '10.0.0.3', port: 82, status: 'warning' },
  ]);
  const { seen } = follow(t, { servers: [server.http.origin], weight: 2 });
  await eventually('it is known', () => seen.hosts === '127.0.0.1:80*6');
});

test('shows a token, and says what is wrong without it but not what it is', async (t) => {
  const server = await ConsulServer.start(t);
  server.token = 's3cret';
  server.register('orders', [{ address: '10.0.0.1', port: 80 }]);
  const refused = follow(t, { servers: [server.http.origin], token: 'other' });
  await eventually('it is refused', () =>
    refused.seen.problem?.includes('403; check discovery.consul.token'),
  );
  assert.ok(!refused.seen.problem?.includes('other'));
  const { seen } = follow(t, { servers: [server.http.origin], token: 's3cret' });
  await eventually('it is let in', () => seen.hosts === '10.0.0.1:80*1');
});

test('puts together what several servers know, each with its last good answer', async (t) => {
  const [one, two] = await Promise.all([ConsulServer.start(t), ConsulServer.start(t)]);
  one.register('orders', [{ address: '10.0.0.1', port: 80 }]);
  two.register('orders', [{ address: '10.0.0.2', port: 80 }]);
  const { seen } = follow(t, { servers: [one.http.origin, two.http.origin] });
  const has = (...hosts: string[]) =>
    eventually(hosts.join(), () => seen.hosts?.split(',').sort().join() === hosts.join());
  await has('10.0.0.1:80*1', '10.0.0.2:80*1');
  await one.http.close();
  await eventually('trouble', () => seen.problem);
  two.register('orders', [{ address: '10.0.0.3', port: 80 }]);
  await has('10.0.0.1:80*1', '10.0.0.3:80*1');
  assert.ok(seen.problem !== undefined, 'one that answers does not hide one that is away');
});

test('asks every so often where it is not to wait, and has a Target for what nobody knows', async (t) => {
  const server = await ConsulServer.start(t);
  const { seen, pauses } = follow(t, {
    servers: [server.http.origin],
    keepalive: false,
    fetch_interval: 7,
    default_service: { host: '10.9.9.9', port: 9 },
  });
  await eventually('the default', () => seen.hosts === '10.9.9.9:9*1');
  await eventually('it asked again', () => server.queries.length > 2);
  assert.ok(server.queries.every((query) => !query.has('index')));
  assert.ok(pauses.every((pause) => pause === 7000));
});
