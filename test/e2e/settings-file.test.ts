import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startEcho } from '../support/echo-upstream.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';

test('takes settings from a file and resources from the Admin API', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'settings.yaml');
  writeFileSync(file, 'listeners: [{ address: 127.0.0.1:0 }]\nclient: { max_uri_bytes: 40 }\n');
  const upstream = await startEcho(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--settings', file, '--data', path.join(folder, 'data')],
  });
  await sluice.admin('PUT', '/routes/all', { uri: '/*', upstream: { nodes: { [upstream.address]: 1 } } });
  assert.equal((await sluice.call('/short')).status, 200);
  assert.equal((await sluice.call(`/${'x'.repeat(40)}`)).status, 414);
});

test('refuses resources in a settings file, with their place', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'settings.yaml');
  writeFileSync(
    file,
    'workers: 1\nroutes:\n  - { id: a, uri: /a, upstream: { nodes: { "127.0.0.1:1": 1 } } }\n',
  );
  const sluice = new SluiceProcess(t, {
    args: ['start', '--settings', file, '--data', path.join(folder, 'data')],
  });
  assert.equal((await sluice.exited).code, 1);
  assert.match(sluice.stderr, /settings\.yaml:2:1: routes: a settings file has no resources/);
});
