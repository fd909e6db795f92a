// Files over real sockets: large ones, broken-off ones, and what is left of them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Value } from '../../src/model/resource.ts';
import { gzip } from '../../src/plugins/gzip/gzip.ts';
import { limitRate } from '../../src/plugins/limit-rate/limit-rate.ts';
import { staticFiles } from '../../src/plugins/static-files/static-files.ts';
import { Gateway, plugin } from '../support/gateway.ts';
import { RawClient, until } from '../support/raw.ts';

const MEGABYTE = 1024 * 1024;
const large = Buffer.alloc(24 * MEGABYTE);
for (let i = 0; i < large.length; i++) large[i] = (i * 7919) >>> 3;

async function setUp(t: TestContext, more: Value = {}) {
  const root = mkdtempSync(path.join(tmpdir(), 'sluice-files-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(path.join(root, 'large.bin'), large);
  writeFileSync(path.join(root, 'page.html'), '<p>hello</p>'.repeat(1000));
  const with_ = (config: Parameters<typeof withDefaults>[0], value: Value) =>
    withDefaults(config, value) as Value;
  const plugins = { 'static-files': with_(staticFiles.config, { root }), ...more };
  const slow = plugin(
    'slow',
    {
      access: () => new Promise((resolve) => setTimeout(resolve, 30)),
    },
    { priority: 951 },
  );
  const gateway = await Gateway.start(t, {
    routes: [{ id: 'all', uri: '/*', plugins }],
    plugins: [staticFiles, gzip, limitRate, slow],
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { root, gateway, client };
}

/** How many descriptors of files below a folder this process has open. */
function openBelow(root: string): number {
  let count = 0;
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)) count++;
    } catch {
      // It was the one that lists them.
    }
  }
  return count;
}

const get = (target: string, fields = '', method = 'GET') =>
  `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

test('sends a large file whole, and several on one connection', async (t) => {
  const { client, root } = await setUp(t);
  client.write(
    get('/large.bin') + get('/large.bin', '', 'HEAD') + get('/large.bin', 'Range: bytes=100-199\r\n'),
  );
  await until('the last answer', () => client.text.slice(-20_000).includes('206 Partial'), 15_000);
  await until('its end', () => client.responses(['GET', 'HEAD', 'GET'])[2]?.complete === true);
  const [whole, head, part] = client.responses(['GET', 'HEAD', 'GET']);
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  assert.equal(digest(Buffer.from(whole.body, 'latin1')), digest(large));
  assert.equal(head.fields.get('content-length'), String(large.length));
  assert.deepEqual(Buffer.from(part.body, 'latin1'), large.subarray(100, 200));
  await until('all files are closed', () => openBelow(root) === 0);
});

test('reads a file no faster than the client takes it, and closes it when the client leaves', async (t) => {
  const { client, root, gateway } = await setUp(t);
  client.socket.pause();
  client.write(get('/large.bin'));
  await until('it is open', () => openBelow(root) === 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(openBelow(root), 1);
  assert.equal(gateway.records.length, 0);
  client.reset();
  await until('it is closed', () => openBelow(root) === 0);
  const [record] = await gateway.recorded(1);
  assert.ok(record.bytesOut < large.length, `${record.bytesOut} bytes were read`);
});

test('closes what was found when nobody waits for it any more', async (t) => {
  const { client, root, gateway } = await setUp(t, { slow: {} });
  client.write(get('/page.html'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  client.reset();
  await gateway.recorded(1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  await until('it is closed', () => openBelow(root) === 0);
});

test('breaks an answer off when its file is cut off meanwhile', async (t) => {
  const { client, root } = await setUp(t);
  client.write(get('/large.bin'));
  await client.has('\r\n\r\n');
  client.socket.pause();
  truncateSync(path.join(root, 'large.bin'), 100);
  client.socket.resume();
  await until('the end', () => client.closed || client.ending !== 'open');
  assert.ok(client.responses().every(({ complete }) => !complete));
  await until('it is closed', () => openBelow(root) === 0);
});

test('passes files through compression and a rate', async (t) => {
  const { client, root } = await setUp(t, {
    gzip: withDefaults(gzip.config, {}) as Value,
    'limit-rate': withDefaults(limitRate.config, { rate: 100_000 }) as Value,
  });
  client.write(get('/page.html', 'Accept-Encoding: gzip\r\n'));
  await until('the answer', () => client.responses()[0]?.complete === true);
  const [{ body, fields }] = client.responses();
  assert.equal(fields.get('content-encoding'), 'gzip');
  assert.match(fields.get('etag') ?? '', /^W\//);
  assert.equal(gunzipSync(Buffer.from(body, 'latin1')).toString(), '<p>hello</p>'.repeat(1000));
  await until('it is closed', () => openBelow(root) === 0);
});
