// Kubernetes in particular: slices, versions, tokens.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { kubernetes } from '../../src/discovery/kubernetes.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { KubernetesServer } from '../support/kubernetes-server.ts';
import { temporaryFolder } from '../support/process.ts';

interface Follow {
  readonly client?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly service?: string;
  readonly folder?: string;
}

function follow(scope: Scope, server: KubernetesServer, options: Follow = {}) {
  const { service = 'default/orders:http', id, folder = '/' } = options;
  const seen = { hosts: undefined as string | undefined, problem: undefined as string | undefined };
  const cluster = {
    ...(id !== undefined && { id }),
    service: { host: `\${API_HOST}`, port: String(server.http.port) },
    client: options.client ?? { token: `\${API_TOKEN}`, ca_file: KubernetesServer.caFile },
  };
  const discovery = kubernetes.create((id === undefined ? cluster : [cluster]) as never, {
    async delay(milliseconds, signal) {
      await sleep(Math.min(milliseconds, 10), undefined, { signal }).catch(() => {});
    },
    random: () => 0.5,
    environment: { API_HOST: '127.0.0.1', API_TOKEN: 'one' },
    dnsServers: [],
    folder,
  });
  const stop = discovery.watch(service, {
    onTargets(targets) {
      seen.hosts = targets.map(({ host, port }) => `${host}:${port}`).join();
    },
    onTrouble(problem) {
      seen.problem = problem;
    },
  });
  scope.after(stop);
  const has = (hosts: string) => eventually(hosts, () => seen.hosts === hosts);
  return { seen, has };
}

const http = [{ name: 'http', port: 80 }];

async function start(scope: Scope): Promise<KubernetesServer> {
  const server = await KubernetesServer.start(scope);
  server.tokens.add('one');
  return server;
}

test('puts the slices of a service together: ready endpoints, the port of that name, each once', async (t) => {
  const server = await start(t);
  server.put('orders-1', {
    service: 'orders',
    addresses: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2', ready: false }, { ip: '10.0.0.3', ready: true }],
    ports: [...http, { name: 'metrics', port: 9090 }],
  });
  server.put('orders-2', { service: 'orders', addresses: [{ ip: '10.0.0.3' }], ports: http });
  server.put('users-1', { service: 'users', addresses: [{ ip: '10.0.0.9' }], ports: http });
  server.put('orders-9', {
    service: 'orders',
    namespace: 'other',
    addresses: [{ ip: '10.0.0.8' }],
    ports: http,
  });
  await follow(t, server).has('10.0.0.1:80,10.0.0.3:80');
  await follow(t, server, { service: 'default/orders:metrics' }).has('10.0.0.1:9090,10.0.0.3:9090');
  await follow(t, server, { id: 'main', service: 'main/other/orders:http' }).has('10.0.0.8:80');
});

test('a port without a name is found by its number', async (t) => {
  const server = await start(t);
  server.put('orders-1', { service: 'orders', addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 8080 }] });
  await follow(t, server, { service: 'default/orders:8080' }).has('10.0.0.1:8080');
});

test('a watch that ends goes on where it was, also by a bookmark, without listing again', async (t) => {
  const server = await start(t);
  const { has } = follow(t, server);
  await eventually('it watches', () => server.watching === 1);
  server.put('orders-1', { service: 'orders', addresses: [{ ip: '10.0.0.1' }], ports: http });
  await has('10.0.0.1:80');
  server.bookmark();
  server.endWatches();
  await eventually('it watches again', () => server.watches.length === 2 && server.watching === 1);
  assert.deepEqual(server.watches, ['100', '102']);
  server.put('orders-1', { service: 'orders', addresses: [{ ip: '10.0.0.2' }], ports: http });
  await has('10.0.0.2:80');
  assert.equal(server.lists, 1);
});

test('a version that is gone means to list again, and nothing is lost in between', async (t) => {
  const server = await start(t);
  server.put('orders-1', { service: 'orders', addresses: [{ ip: '10.0.0.1' }], ports: http });
  server.put('orders-2', { service: 'orders', addresses: [{ ip: '10.0.0.2' }], ports: http });
  const { has } = follow(t, server);
  await has('10.0.0.1:80,10.0.0.2:80');
  await eventually('it watches', () => server.watching === 1);
  await server.http.close();
  server.remove('orders-1');
  server.compact();
  await server.http.open();
  await has('10.0.0.2:80');
  assert.equal(server.lists, 2);
});

test('reads the token anew for each request, and says what is wrong but not what it is', async (t) => {
  const server = await start(t);
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'token');
  writeFileSync(file, 'old\n');
  server.put('orders-1', { service: 'orders', addresses: [{ ip: '10.0.0.1' }], ports: http });
  const client = { token_file: 'token', ca_file: KubernetesServer.caFile };
  const { seen, has } = follow(t, server, { client, folder });
  await eventually('it is refused', () => seen.problem?.includes('401; check discovery.kubernetes.client'));
  assert.ok(!seen.problem?.includes('old'));
  writeFileSync(file, 'one\n');
  await has('10.0.0.1:80');
});

test('the API server must prove who it is', async (t) => {
  const server = await start(t);
  const { seen } = follow(t, server, { client: { token: 'one' } });
  await eventually('it is not believed', () => seen.problem?.includes('certificate'));
  const lax = follow(t, server, { client: { token: 'one', ssl_verify: false } });
  await lax.has('');
});

test('a name that is none is told, and asks nobody', async (t) => {
  const server = await start(t);
  for (const service of ['orders', 'default/orders', 'a/default/orders:http', '../x/y:http']) {
    const { seen } = follow(t, server, { service });
    assert.equal(seen.hosts, '');
    assert.match(seen.problem ?? '', /service_name must be namespace\/name:port/);
  }
  assert.equal(server.http.asked, 0);
});
