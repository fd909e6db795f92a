// gRPC through a whole Sluice with Plugins of the house, over HTTP/2 in cleartext beside HTTP/1.1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { startWithFile } from '../support/config-file.ts';
import { eventually } from '../support/eventually.ts';
import { GrpcClient, startGrpc } from '../support/grpc.ts';

test('gRPC calls pass authentication and limits, which answer in gRPC', async (t) => {
  const server = await startGrpc(t);
  const { sluice } = await startWithFile(
    t,
    JSON.stringify({
      listeners: [{ address: '127.0.0.1:0', http2: true }],
      consumers: [{ username: 'jane', plugins: { 'key-auth': { key: 'secret-of-jane' } } }],
      routes: [
        {
          id: 'echo',
          uri: '/test.Echo/*',
          plugins: {
            'key-auth': {},
            'limit-count': { count: 2, time_window: 60, rejected_code: 429, key: 'consumer_name' },
          },
          upstream: { scheme: 'grpc', nodes: { [`127.0.0.1:${server.port}`]: 1 } },
        },
      ],
    }),
    { name: 'sluice.json', keepListeners: true },
  );
  const client = new GrpcClient(t, sluice.port);
  const stranger = await client.unary('hello');
  assert.deepEqual([stranger.code, stranger.details], [status.UNAUTHENTICATED, 'Missing API key in request']);
  const key = { apikey: 'secret-of-jane' };
  for (let i = 0; i < 2; i++) assert.equal((await client.unary('hello', key)).message, 'hello');
  assert.deepEqual(server.calls[0].metadata.get('x-consumer-username'), ['jane']);
  const limited = await client.unary('hello', key);
  assert.equal(limited.code, status.UNAVAILABLE);
  assert.equal(server.calls.length, 2);
  assert.equal((await sluice.call('/test.Echo/Unary')).status, 401);
  await eventually('the access log', () => sluice.accessLog.length >= 5);
  assert.deepEqual(
    sluice.accessLog.slice(0, 4).map((line) => [line.status, line.http_version]),
    [
      [401, '2'],
      [200, '2'],
      [200, '2'],
      [429, '2'],
    ],
  );
});
