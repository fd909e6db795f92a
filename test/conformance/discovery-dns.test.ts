// DNS in particular: types of records, ports, priorities, TTLs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dns } from '../../src/discovery/dns.ts';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type NameServer, startNameServer } from '../support/name-server.ts';

function follow(scope: Scope, server: NameServer, service: string, order?: readonly string[]) {
  const seen = { targets: undefined as string | undefined, problem: undefined as string | undefined };
  const pauses: number[] = [];
  const discovery = dns.create(withDefaults(dns.config, order === undefined ? {} : { order }) as never, {
    async delay(milliseconds, signal) {
      pauses.push(milliseconds);
      await sleep(Math.min(milliseconds, 10), undefined, { signal }).catch(() => {});
    },
    random: () => 0.5,
    environment: {},
    dnsServers: [server.address],
    folder: '/',
  });
  const stop = discovery.watch(service, {
    onTargets(targets) {
      seen.targets = targets
        .map(({ host, port, weight, priority }) => `${host} ${port} ${weight} ${priority}`)
        .sort()
        .join();
    },
    onTrouble(problem) {
      seen.problem = problem;
    },
  });
  scope.after(stop);
  return { seen, pauses, has: (wanted: string) => eventually(wanted, () => seen.targets === wanted) };
}

test('addresses have the port of the service name, or none; IPv6 where there is no IPv4', async (t) => {
  const server = await startNameServer(t, 60);
  server.names.set('a.test', ['10.0.0.1', '10.0.0.2', 'fd00::1']);
  server.names.set('six.test', ['fd00::1']);
  await follow(t, server, 'a.test:8080').has('10.0.0.1 8080 1 0,10.0.0.2 8080 1 0');
  await follow(t, server, 'A.test').has('10.0.0.1 undefined 1 0,10.0.0.2 undefined 1 0');
  await follow(t, server, 'six.test:80').has('fd00::1 80 1 0');
  await follow(t, server, 'a.test:80', ['AAAA']).has('fd00::1 80 1 0');
});

test('SRV gives ports, weights and priorities; several addresses of a name share its weight', async (t) => {
  const server = await startNameServer(t, 60);
  server.names.set('x.test', ['10.0.0.1']);
  server.names.set('y.test', ['10.0.0.2', '10.0.0.3']);
  server.services.set('srv.test', [
    { priority: 10, weight: 60, port: 1980, target: 'x.test' },
    { priority: 20, weight: 20, port: 1981, target: 'y.test' },
  ]);
  server.services.set('zero.test', [{ priority: 0, weight: 0, port: 0, target: 'x.test' }]);
  server.services.set('none.test', [{ priority: 0, weight: 0, port: 0, target: '.' }]);
  await follow(t, server, 'srv.test').has('10.0.0.1 1980 60 -10,10.0.0.2 1981 10 -20,10.0.0.3 1981 10 -20');
  await follow(t, server, 'srv.test:8848').has(
    '10.0.0.1 8848 60 -10,10.0.0.2 8848 10 -20,10.0.0.3 8848 10 -20',
  );
  await follow(t, server, 'zero.test').has('10.0.0.1 undefined 1 0');
  await follow(t, server, 'none.test').has('');
});

test('an answer holds for as long as its shortest TTL says, a second at least', async (t) => {
  const server = await startNameServer(t, 300);
  server.names.set('x.test', ['10.0.0.1']);
  server.services.set('srv.test', [{ priority: 0, weight: 1, port: 80, target: 'x.test' }]);
  const { has, pauses } = follow(t, server, 'srv.test');
  await has('10.0.0.1 80 1 0');
  await eventually('it waits', () => pauses.length > 0);
  assert.equal(pauses[0], 300_000);
  server.ttl = 0;
  await eventually('a TTL of nothing', () => pauses.at(-1) === 1000);
  server.ttl = 604_800;
  await eventually('an endless one', () => pauses.at(-1) === 3_600_000);
});

test('the type that was found last is asked for first', async (t) => {
  const server = await startNameServer(t, 1);
  server.names.set('a.test', ['10.0.0.1']);
  const { has } = follow(t, server, 'a.test:80');
  await has('10.0.0.1 80 1 0');
  server.names.set('x.test', ['10.0.0.2']);
  server.services.set('a.test', [{ priority: 0, weight: 1, port: 80, target: 'x.test' }]);
  server.names.set('a.test', ['10.0.0.3']);
  await has('10.0.0.3 80 1 0');
  server.names.delete('a.test');
  await has('10.0.0.2 80 1 0');
});

test('a name that DNS cannot have is told', async (t) => {
  const server = await startNameServer(t, 1);
  for (const service of ['', 'a..b', `${'a'.repeat(64)}.test`]) {
    const { seen } = follow(t, server, service);
    await eventually(service, () => seen.problem?.includes('is no name for DNS'));
  }
  assert.equal(server.asked, 0);
});

test('what does not fit into a datagram is asked for by TCP; forged datagrams are passed over', async (t) => {
  const server = await startNameServer(t, 60);
  server.names.set(
    'many.test',
    Array.from({ length: 200 }, (_, index) => `10.0.0.${index}`),
  );
  server.truncates = true;
  server.forges = true;
  const { seen } = follow(t, server, 'many.test:80', ['A']);
  await eventually('all of them', () => seen.targets?.split(',').length === 200);
});
