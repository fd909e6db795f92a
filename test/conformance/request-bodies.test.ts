// What Plugins do with request bodies as they pass: limits, buffering, copies.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Value } from '../../src/model/resource.ts';
import type { Plugin } from '../../src/plugin/define-plugin.ts';
import { clientControl } from '../../src/plugins/client-control/client-control.ts';
import { proxyControl } from '../../src/plugins/proxy-control/proxy-control.ts';
import { proxyMirror } from '../../src/plugins/proxy-mirror/proxy-mirror.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { RawClient, RawUpstream, until } from '../support/raw.ts';

const slow = plugin('slow', { rewrite: () => new Promise((resolve) => setTimeout(resolve, 20)) });
const PLUGINS: readonly Plugin[] = [clientControl, proxyControl, proxyMirror, slow];

async function setUp(t: TestContext, configs: Readonly<Record<string, Value>>, upstream?: RawUpstream) {
  const own = upstream ?? (await RawUpstream.start({}));
  if (upstream === undefined) t.after(() => own.close());
  const plugins: Record<string, Value> = {};
  for (const { name, config } of PLUGINS) {
    if (configs[name] !== undefined) plugins[name] = withDefaults(config, configs[name]) as Value;
  }
  const gateway = await Gateway.start(t, {
    routes: [route('all', own.port, { plugins })],
    plugins: PLUGINS,
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream: own, gateway, client };
}

const post = (fields: string, body = '') => `POST /p HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
const chunked = (...pieces: string[]) =>
  pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');

test('a body with a length is refused before it is read', async (t) => {
  const { client, upstream } = await setUp(t, { 'client-control': { max_body_size: 10 } });
  client.write(post('Content-Length: 11\r\nExpect: 100-continue'));
  const text = await client.has('\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 413 /);
  assert.equal(upstream.requests.length, 0);
});

test('a body in chunks is refused as soon as it is too large, by its data alone', async (t) => {
  const { client, gateway } = await setUp(t, { 'client-control': { max_body_size: 10 } });
  client.write(post('Transfer-Encoding: chunked', chunked(...'0123456789')));
  client.write('0\r\n\r\n');
  await until('the first answer', () => client.responses()[0]?.complete === true);
  assert.equal(client.responses()[0].status, 200);
  client.write(post('Transfer-Encoding: chunked', chunked('01234')));
  client.write(chunked('567890'));
  await until('the second answer', () => client.responses().length === 2);
  assert.equal(client.responses()[1].status, 413);
  const records = await gateway.recorded(2);
  assert.equal(records[1].reason, 'body_too_large');
});

test('a body that came with its head is refused, too', async (t) => {
  const { client, upstream } = await setUp(t, { 'client-control': { max_body_size: 3 } });
  client.write(post('Transfer-Encoding: chunked', `${chunked('0123')}0\r\n\r\n`));
  assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 413 /);
  assert.equal(upstream.requests.length, 0);
});

test('a body that grows while a handler waits is refused', async (t) => {
  const { client } = await setUp(t, { 'client-control': { max_body_size: 3 }, slow: {} });
  client.write(post('Transfer-Encoding: chunked', chunked('01')));
  client.write(chunked('23'));
  assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 413 /);
});

test('with request_buffering the Upstream is asked when all of the body is there', async (t) => {
  const { client, upstream } = await setUp(t, { 'proxy-control': {} });
  client.write(post('Content-Length: 4', 'ab'));
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(upstream.connections.length, 0);
  client.write('cd');
  await until('the request', () => upstream.requests.length === 1);
  assert.equal(upstream.requests[0].body, 'abcd');
});

test('without request_buffering the body passes as it comes', async (t) => {
  const { client, upstream } = await setUp(t, { 'proxy-control': { request_buffering: false } });
  client.write(post('Content-Length: 4', 'ab'));
  await until('the first half', () => upstream.connections[0]?.text.endsWith('ab') === true);
  client.write('cd');
  await until('the request', () => upstream.requests.length === 1);
});

const OTHERS: readonly Readonly<Record<string, Value>>[] = [{}, { slow: {} }, { 'proxy-control': {} }];
for (const more of OTHERS) {
  const name = Object.keys(more)[0] ?? 'nothing else';
  test(`copies come with their whole body, with ${name}`, async (t) => {
    const other = await RawUpstream.start({});
    t.after(() => other.close());
    const { client, upstream } = await setUp(t, {
      ...more,
      'proxy-mirror': { host: `http://127.0.0.1:${other.port}`, path: '/copy' },
    });
    client.write(post('Transfer-Encoding: chunked', chunked('one ')));
    await new Promise((resolve) => setTimeout(resolve, 10));
    client.write(`${chunked('two ', 'three')}0\r\n\r\n`);
    client.write(post('Content-Length: 4', 'four'));
    client.write('GET /g?q HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('the answers', () => client.responses().length === 3);
    await until('the copies', () => other.requests.length === 3);
    const seen = ({ requests }: RawUpstream) =>
      requests.map(({ method, body }) => `${method} ${body}`).sort();
    assert.deepEqual(seen(other), ['GET ', 'POST four', 'POST one two three']);
    assert.deepEqual(seen(other), seen(upstream));
    assert.deepEqual(other.requests.map(({ target }) => target).sort(), ['/copy', '/copy', '/copy?q']);
    assert.deepEqual(other.problems, []);
  });
}

test('a client notices nothing of a mirror that is gone, never answers or answers nonsense', async (t) => {
  const silent = await RawUpstream.start({ onRequest: () => new Promise(() => {}) });
  const rude = await RawUpstream.start({ onRequest: () => 'nonsense\r\n\r\n' });
  const gone = await RawUpstream.start({});
  const { port } = gone;
  await gone.close();
  t.after(() => silent.close());
  t.after(() => rude.close());
  for (const other of [silent.port, rude.port, port]) {
    const { client, gateway } = await setUp(t, {
      'proxy-mirror': { host: `http://127.0.0.1:${other}`, timeout: 1 },
    });
    client.write(post('Content-Length: 4', 'four').repeat(20));
    await until('all answers', () => client.responses().length === 20);
    assert.ok(client.responses().every(({ status }) => status === 200));
    await gateway.recorded(20);
    assert.deepEqual(gateway.errors, []);
  }
});

test('a copy of an upload that is broken off is not sent', async (t) => {
  const other = await RawUpstream.start({});
  t.after(() => other.close());
  const { client, gateway } = await setUp(t, { 'proxy-mirror': { host: `http://127.0.0.1:${other.port}` } });
  client.write(post('Content-Length: 10', 'half'));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.reset();
  await gateway.recorded(1);
  assert.equal(other.requests.length, 0);
});
