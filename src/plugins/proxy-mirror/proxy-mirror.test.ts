import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Value } from '../../model/resource.ts';
import type { OwnRequest, OwnResponse } from '../../plugin/own-request.ts';
import { bind, checkConfig, type KitOptions, type TestRequest } from '../../plugin/testing.ts';
import { proxyMirror } from './proxy-mirror.ts';

const host = 'http://10.0.0.7:8081';
const answered: KitOptions = {
  send: () => Promise.resolve({ status: 200, headers: [], body: new Uint8Array() }),
};

/** What was sent as a copy of one request. */
async function copies(
  config: Value,
  request: TestRequest,
  options: KitOptions = answered,
): Promise<OwnRequest[]> {
  const bound = bind(proxyMirror, { host, ...config }, options);
  const { reply } = await bound.request(request);
  assert.equal(reply, undefined);
  return bound.kit.sent;
}

test('sends a copy with method, target, fields and body', async () => {
  const [copy] = await copies(
    {},
    {
      method: 'PUT',
      target: '/a/b?c=d',
      headers: { host: 'api.test', 'x-a': '1', connection: 'x-hop', 'x-hop': '1', 'content-length': '4' },
      body: 'body',
    },
  );
  assert.equal(copy.method, 'PUT');
  assert.equal(copy.target, '/a/b?c=d');
  assert.equal(Buffer.from(copy.body ?? []).toString(), 'body');
  const fields = Object.fromEntries(copy.headers.map(([name, value]) => [name.toLowerCase(), value]));
  assert.deepEqual([fields.host, fields['x-a'], fields['x-hop']], ['api.test', '1', undefined]);
  assert.equal(copy.upstream.key.includes('10.0.0.7'), true);
});

test('replaces the path, or prefixes it, and keeps the query', async () => {
  const target = async (config: Value) => (await copies(config, { target: '/a?b=c' }))[0].target;
  assert.equal(await target({ path: '/new' }), '/new?b=c');
  assert.equal(await target({ path: '/new', path_concat_mode: 'prefix' }), '/new/a?b=c');
});

test('copies the share that it is told to', async () => {
  const bound = bind(proxyMirror, { host, sample_ratio: 0.25 }, answered);
  for (let i = 0; i < 400; i++) await bound.request();
  assert.ok(bound.kit.sent.length > 60 && bound.kit.sent.length < 140, String(bound.kit.sent.length));
});

test('does not copy larger bodies than it may', async () => {
  const request = { body: '12345', headers: { 'content-length': '5' } };
  assert.equal((await copies({ max_body_size: 5 }, request)).length, 1);
  assert.equal((await copies({ max_body_size: 4 }, request)).length, 0);
  const chunked = { body: '12345', headers: { 'transfer-encoding': 'chunked' } };
  assert.equal((await copies({ max_body_size: 4 }, chunked)).length, 0);
});

test('does not copy what becomes a tunnel', async () => {
  const headers = { connection: 'Upgrade', upgrade: 'websocket' };
  assert.deepEqual(await copies({}, { headers }), []);
});

test('neither waits for a copy nor sends more at once than it may', async () => {
  const bound = bind(
    proxyMirror,
    { host, max_concurrency: 2 },
    { send: () => new Promise<OwnResponse>(() => {}) },
  );
  for (let i = 0; i < 5; i++) assert.equal((await bound.request()).response.status, 200);
  assert.equal(bound.kit.sent.length, 2);
});

test('says once that copies fail, and answers as ever', async () => {
  const bound = bind(proxyMirror, { host }, { send: () => Promise.reject(new Error('connect_failed')) });
  for (let i = 0; i < 3; i++) assert.equal((await bound.request()).response.status, 200);
  assert.equal(bound.kit.sent.length, 3);
  assert.deepEqual(
    bound.kit.lines.map(({ message }) => message),
    ['requests were not mirrored'],
  );
});

test('refuses what is no host', () => {
  assert.match(checkConfig(proxyMirror, {}) ?? '', /"host" is required/);
  assert.match(checkConfig(proxyMirror, { host: 'http://a/b' }) ?? '', /host/);
  assert.match(checkConfig(proxyMirror, { host: 'grpc://a:1' }) ?? '', /gRPC/);
  assert.match(checkConfig(proxyMirror, { host: 'http://a:70000' }) ?? '', /port/);
  assert.match(checkConfig(proxyMirror, { host, path: 'no-slash' }) ?? '', /path/);
});
