// The file of services in particular: its forms, and what is wrong with it.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { file } from '../../src/discovery/file.ts';
import { place } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/process.ts';

test('reads both forms of nodes, from YAML or JSON; what is wrong is told with its place and changes nothing', async (t) => {
  const folder = temporaryFolder(t);
  const services = path.join(folder, 'services.yaml');
  writeFileSync(services, 'services:\n  orders: { "127.0.0.1:80": 2, "[::1]": 1 }\n');
  const seen = { targets: '', problem: undefined as string | undefined };
  const discovery = file.create({ path: 'services.yaml' } as never, {
    delay: (milliseconds, signal) => sleep(Math.min(milliseconds, 10), undefined, { signal }).catch(() => {}),
    random: () => 0.5,
    environment: {},
    dnsServers: [],
    folder,
  });
  const stop = discovery.watch('orders', {
    onTargets(targets) {
      seen.targets = targets.map(({ host, port, weight }) => `${host} ${port} ${weight}`).join();
    },
    onTrouble(problem) {
      seen.problem = problem;
    },
  });
  t.after(stop);
  const first = '127.0.0.1 80 2,[::1] undefined 1';
  await eventually('the first', () => seen.targets === first);
  for (const [text, problem] of [
    ['services: [', 'Flow sequence'],
    ['services: []', 'services must be an object'],
    ['[]', 'services must be an object'],
    ['services: { orders: { "127.0.0.1:80": -1 } }', 'services.orders: '],
    [
      'services: { orders: { "127.0.0.1:99999": 1 } }',
      'services.orders: invalid node address 127.0.0.1:99999',
    ],
    ['services: { other: [{ port: 80, weight: 1 }] }', 'services.other: '],
    ['{"services": ', 'JSON'],
  ]) {
    place(services, text);
    await eventually(`${text} is wrong`, () => seen.problem?.includes(problem));
    assert.ok(seen.problem?.startsWith(services));
    assert.equal(seen.targets, first);
  }
  place(services, '{"services": {"orders": [{"host": "127.0.0.2", "weight": 1}]}}');
  await eventually('the second', () => seen.targets === '127.0.0.2 undefined 1');
  await eventually('nothing is wrong', () => seen.problem === undefined);
  place(services, 'services:\n  orders:\n');
  await eventually('an empty one', () => seen.targets === '');
});
