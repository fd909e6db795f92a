import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { place } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { startPebble } from '../support/pebble.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { serialOf, TlsClient } from '../support/tls-client.ts';

test('renews before the end, and says why it can not', async (t) => {
  const pebble = await startPebble(t, { names: ['a.example'], validity: 4 });
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'sluice.json');
  const config = {
    listeners: [
      { address: `127.0.0.1:${pebble.httpPort}` },
      { address: `127.0.0.1:${pebble.tlsPort}`, tls: true },
    ],
    data_dir: path.join(folder, 'data'),
    acme: {
      domains: ['gone.example', 'a.example'],
      directory: pebble.directory,
      directory_ca: pebble.caFile,
    },
    routes: [],
  };
  place(file, JSON.stringify(config));
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--config', file],
    workers: 2,
    keepListeners: true,
  });
  const first = await eventually('a certificate', () => serialOf(pebble.tlsPort, 'a.example'));
  const lost = await eventually('a line about the name that leads nowhere', () =>
    sluice.log.find(({ message }) => message.startsWith('no certificate for gone.example')),
  );
  assert.ok(Number(lost.retry_in_seconds) >= 45);
  const standing = await TlsClient.connect(pebble.tlsPort, { servername: 'a.example' });
  t.after(() => standing.close());
  await eventually(
    'another certificate',
    async () => (await serialOf(pebble.tlsPort, 'a.example')) !== first,
  );
  assert.equal((await standing.get('/')).status, 404);
});
