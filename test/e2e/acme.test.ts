import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { place } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http-call.ts';
import { startPebble } from '../support/pebble.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { secureGet, serialOf } from '../support/tls-client.ts';

const NAMES = ['a.example', 'b.example'];

for (const challenge of ['http-01', 'tls-alpn-01'] as const) {
  test(`obtains certificates by ${challenge}, serves them on every worker and keeps them`, async (t) => {
    const pebble = await startPebble(t, { names: NAMES });
    const upstream = await startEcho(t);
    const folder = temporaryFolder(t);
    const file = path.join(folder, 'sluice.json');
    const config = {
      listeners: [
        { address: `127.0.0.1:${pebble.httpPort}` },
        { address: `127.0.0.1:${pebble.tlsPort}`, tls: true },
      ],
      data_dir: path.join(folder, 'data'),
      acme: {
        domains: NAMES,
        directory: pebble.directory,
        directory_ca: pebble.caFile,
        challenge,
        email: 'ops@a.example',
      },
      global_rules: [{ id: 'secure', plugins: { redirect: { http_to_https: true } } }],
      routes: [{ id: 'all', uri: '/*', upstream: { nodes: { [upstream.address]: 1 } } }],
    };
    place(file, JSON.stringify(config));
    const start = () =>
      SluiceProcess.start(t, { args: ['start', '--config', file], workers: 2, keepListeners: true });
    const first = await start();
    const port = pebble.tlsPort;
    for (const name of NAMES) {
      await eventually(`a certificate for ${name}`, () => serialOf(port, name)).catch((error) => {
        throw new Error(`${first.stderr}\n${pebble.log}`, { cause: error });
      });
    }
    const ca = await pebble.root();
    for (let count = 0; count < 8; count++) {
      for (const name of NAMES)
        assert.equal((await secureGet(port, '/x', { servername: name, ca })).status, 200);
    }
    await eventually('the metric', async () =>
      /sluice_certificate_not_after_seconds\{ssl="acme\/b\.example",sni="b\.example"\}/.test(
        (await call(first.metrics)).body,
      ),
    );
    // Whoever asks without a challenge under way is sent on as anybody.
    assert.equal(
      (await call(`http://127.0.0.1:${pebble.httpPort}/.well-known/acme-challenge/x`)).status,
      301,
    );
    const kept = path.join(folder, 'data', 'acme');
    const [authority] = readdirSync(kept);
    const files = readdirSync(path.join(kept, authority)).sort();
    assert.deepEqual(files, ['a.example.pem', 'account.pem', 'b.example.pem']);
    for (const name of files) assert.equal(statSync(path.join(kept, authority, name)).mode & 0o777, 0o600);
    assert.doesNotMatch(first.stderr, /PRIVATE KEY/);

    const serial = await serialOf(port, 'a.example');
    await first.kill();
    await start();
    assert.equal(await serialOf(port, 'a.example'), serial);
    assert.equal(pebble.issued, 2);
  });
}
