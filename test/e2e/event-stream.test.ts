// An endless body comes at once, whatever Plugins are on, unless one of them needs the body whole.
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { withDefaults } from '../../src/lib/json-schema.ts';
import { plugins } from '../../src/plugins/index.ts';
import { startWithFile } from '../support/config-file.ts';

/** For each Plugin a config with which a request gets its answer from the Upstream. */
const PASSING: Readonly<Record<string, Record<string, unknown>>> = {
  'api-breaker': { break_response_code: 502 },
  'basic-auth': {},
  brotli: { types: '*' },
  'client-control': { max_body_size: 1000 },
  'consumer-restriction': { whitelist: ['jane'] },
  cors: {},
  'fault-injection': { delay: { duration: 0 } },
  gzip: { types: '*' },
  'ip-restriction': { whitelist: ['127.0.0.0/8'] },
  'key-auth': {},
  'limit-conn': { conn: 10, burst: 0, default_conn_delay: 0.1, key: 'remote_addr' },
  'limit-count': { count: 100, time_window: 60 },
  'limit-rate': { rate: 100_000 },
  'limit-req': { rate: 100, burst: 0, key: 'remote_addr' },
  prometheus: {},
  'proxy-control': { request_buffering: false },
  'proxy-rewrite': { headers: { set: { 'x-a': '1' } } },
  'real-ip': { source: 'http_x_real_ip' },
  'request-id': {},
  'response-rewrite': { headers: { set: { 'x-a': '1' } } },
  'traffic-split': { rules: [{ weighted_upstreams: [{ weight: 1 }] }] },
  zstd: { types: '*' },
};
/** They answer themselves, or speak something else. */
const NO_STREAM: Readonly<Record<string, string>> = {
  mocking: 'answers itself',
  'static-files': 'answers itself',
  redirect: 'answers itself',
  'grpc-web': 'speaks to gRPC servers; see test/conformance/grpc-web.test.ts',
};

test('the first event comes while the stream is open', async (t) => {
  const open: http.ServerResponse[] = [];
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first\n\n');
    open.push(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const upstream = { nodes: { [`127.0.0.1:${(server.address() as AddressInfo).port}`]: 1 } };
  const tested = plugins.filter(({ name }) => PASSING[name] !== undefined && NO_STREAM[name] === undefined);
  const streaming = tested.filter((plugin) => {
    const needed = plugin.needsBody?.(withDefaults(plugin.config, PASSING[plugin.name]) as never);
    return needed !== 'response' && needed !== 'both';
  });
  assert.ok(streaming.length > 10);
  const routes = streaming.map(({ name }) => ({
    id: name,
    uri: `/${name}`,
    upstream,
    plugins: {
      [name]: PASSING[name],
      // Who the caller is must be known where a Plugin asks for it.
      ...(name === 'consumer-restriction' && { 'key-auth': {} }),
    },
  }));
  const all = Object.assign({}, ...streaming.map(({ name }) => ({ [name]: PASSING[name] })));
  delete all['basic-auth'];
  const { sluice } = await startWithFile(
    t,
    JSON.stringify({
      listeners: [{ address: '127.0.0.1:0', http2: true }],
      consumers: [
        {
          username: 'jane',
          plugins: {
            'key-auth': { key: 'secret-of-jane' },
            'basic-auth': { username: 'jane', password: 'secret' },
          },
        },
      ],
      routes: [...routes, { id: 'all', uri: '/all-of-them', upstream, plugins: all }],
    }),
    { name: 'sluice.json', keepListeners: true },
  );
  for (const name of [...streaming.map((plugin) => plugin.name), 'all-of-them']) {
    const basic = name === 'basic-auth';
    const response = await fetch(`${sluice.traffic}/${name}`, {
      headers: {
        apikey: 'secret-of-jane',
        ...(basic && { authorization: `Basic ${Buffer.from('jane:secret').toString('base64')}` }),
      },
    });
    assert.equal(response.status, 200, name);
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    // The server has not ended it: what came, came at once.
    assert.equal(Buffer.from(value!).toString(), 'data: first\n\n', name);
    assert.equal(open.at(-1)!.writableEnded, false);
    open.at(-1)!.end('data: last\n\n');
    let rest = '';
    for (let piece = await reader.read(); !piece.done; piece = await reader.read())
      rest += Buffer.from(piece.value).toString();
    assert.equal(rest, 'data: last\n\n', name);
  }
});

for (const { name } of plugins) {
  if (PASSING[name] === undefined || NO_STREAM[name] !== undefined) {
    test(`the first event comes with ${name}`, {
      skip: NO_STREAM[name] ?? 'no config here lets a request pass; add one to PASSING',
    });
  }
}
