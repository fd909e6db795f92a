import assert from 'node:assert/strict';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { HostsFile, parseHosts } from './hosts-file.ts';

test('reads names, aliases and comments, in lower case', () => {
  const names = parseHosts(
    '# all\n10.0.0.1\tOrders.Internal orders # old\n\n10.0.0.2 orders\nnonsense x\n::1 six\r\n',
  );
  assert.deepEqual(Object.fromEntries(names), {
    'orders.internal': ['10.0.0.1'],
    orders: ['10.0.0.1', '10.0.0.2'],
    six: ['::1'],
  });
});

test('sees a change of the file, its removal and its return', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'hosts-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'hosts');
  const hosts = new HostsFile(file);
  assert.equal(await hosts.find('a'), undefined);
  await writeFile(file, '::1 a\n10.0.0.1 a\n');
  assert.deepEqual(await hosts.find('a'), ['10.0.0.1']);
  await writeFile(file, '10.0.0.2 a\n');
  await utimes(file, 1, 1);
  assert.deepEqual(await hosts.find('a'), ['10.0.0.2']);
  await rm(file);
  assert.equal(await hosts.find('a'), undefined);
});
