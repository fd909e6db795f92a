// Databases of places in a whole process: variables, restrictions, changed and damaged files.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { writeMmdb } from '../../src/geo/mmdb-writer.fixture.ts';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call } from '../support/http-call.ts';
import { runSluice, temporaryFolder } from '../support/process.ts';

const places = (country: string) => writeMmdb({ '192.0.2.0/24': { country: { iso_code: country } } });

test('routes and refuses by country, follows a changed database and refuses a damaged one', async (t) => {
  const [here, there] = [await startEcho(t), await startEcho(t)];
  const folder = temporaryFolder(t);
  const database = path.join(folder, 'places.mmdb');
  writeFileSync(database, places('DE'));
  const gateway = await startWithFile(
    t,
    `
workers: 2
trusted_addresses: [127.0.0.1]
geo: { databases: [${database}] }
routes:
  - id: germany
    uri: /where
    vars: [[geoip2_country_code, "==", DE]]
    upstream: { nodes: { "${here.address}": 1 } }
  - id: elsewhere
    uri: /where
    upstream: { nodes: { "${there.address}": 1 } }
  - id: only
    uri: /only
    plugins: { geo-restriction: { allow: { countries: [DE] } } }
    upstream: { nodes: { "${here.address}": 1 } }
`,
  );
  const ask = (at: string, from: string) =>
    call(`${gateway.sluice.traffic}${at}`, { headers: { 'X-Forwarded-For': from } });
  assert.equal((await ask('/where', '192.0.2.1')).json().upstream, here.port);
  assert.equal((await ask('/where', '192.0.3.1')).json().upstream, there.port);
  assert.equal((await ask('/only', '192.0.2.1')).status, 200);
  const refused = await ask('/only', '203.0.113.1');
  assert.deepEqual([refused.status, refused.json()], [403, { message: 'Your location is not allowed' }]);

  const put = (bytes: Buffer) => {
    writeFileSync(`${database}.new`, bytes);
    renameSync(`${database}.new`, database);
  };
  put(Buffer.from('half a file'));
  await gateway.logged(
    "places.mmdb can't be used: it is not a MaxMind DB file, or its end is missing; the old one stays",
  );
  assert.equal((await ask('/only', '192.0.2.1')).status, 200);
  put(places('FR'));
  await gateway.logged('geo database reloaded');
  await eventually('both workers know', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask('/only', '192.0.2.1')));
    return answers.every(({ status }) => status === 403);
  });
});

test('refuses connections of stream routes by country', async (t) => {
  const echo = await startEcho(t);
  const folder = temporaryFolder(t);
  writeFileSync(
    path.join(folder, 'places.mmdb'),
    writeMmdb({ '127.0.0.0/8': { country: { iso_code: 'JP' } } }),
  );
  const ports = [await freePort(), await freePort()];
  const streamRoute = (port: number, country: string) => `
  - id: p${port}
    server_port: ${port}
    plugins: { geo-restriction: { allow: { countries: [${country}] } } }
    upstream: { scheme: tcp, nodes: { "${echo.address}": 1 } }`;
  await startWithFile(
    t,
    `
workers: 1
geo: { databases: [${path.join(folder, 'places.mmdb')}] }
listeners:
  - { address: "127.0.0.1:0" }
  - { address: "127.0.0.1:${ports[0]}", protocol: tcp }
  - { address: "127.0.0.1:${ports[1]}", protocol: tcp }
stream_routes:${streamRoute(ports[0], 'JP')}${streamRoute(ports[1], 'DE')}
`,
    { keepListeners: true },
  );
  assert.equal((await call(`http://127.0.0.1:${ports[0]}/`)).status, 200);
  await assert.rejects(call(`http://127.0.0.1:${ports[1]}/`));
});

test('says at the start which database is no good', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, 'broken.mmdb'), places('DE').subarray(0, 100));
  const file = path.join(folder, 'sluice.yaml');
  writeFileSync(file, 'geo: { databases: [broken.mmdb, gone.mmdb] }\nroutes: []\n');
  for (const args of [
    ['check', file],
    ['start', '--config', file],
  ]) {
    const { code, stdout, stderr } = await runSluice(t, args);
    const output = stdout + stderr;
    assert.equal(code, 1);
    assert.match(output, /broken\.mmdb can't be used: it is not a MaxMind DB file/);
    assert.match(output, /gone\.mmdb can't be used: there is no such file/);
  }
});
