// gRPC through the gateway, against a real server and client: all kinds of calls, deadlines, ends,
// and what the gateway itself says to a call.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { reply } from '../../src/plugin/reply.ts';
import { freePort } from '../support/free-port.ts';
import { Gateway, type GatewayOptions, plugin, route } from '../support/gateway.ts';
import { endOf, GrpcClient, startGrpc } from '../support/grpc.ts';
import { Http2Client } from '../support/http2-client.ts';
import { until } from '../support/raw.ts';

async function setUp(t: TestContext, options: Partial<GatewayOptions> = {}) {
  const server = await startGrpc(t);
  const gateway = await Gateway.start(t, {
    routes: [route('all', server.port, { upstream: { scheme: 'grpc' } })],
    listener: { http2: true },
    ...options,
  });
  return { server, gateway, client: new GrpcClient(t, gateway.port) };
}

test('carries unary calls with their metadata, trailers and statuses', async (t) => {
  const { client, server, gateway } = await setUp(t);
  const good = await client.unary('hello', { 'x-asked': 'yes' });
  assert.deepEqual([good.code, good.message, good.metadata.get('x-tail')], [0, 'hello', ['tail']]);
  assert.deepEqual(server.calls[0].metadata.get('x-asked'), ['yes']);
  const bad = await client.unary('fail');
  assert.deepEqual(
    [bad.code, bad.details, bad.metadata.get('x-tail')],
    [grpc.status.NOT_FOUND, 'no ünit, 100 %', ['tail']],
  );
  const large = 'x'.repeat(1_000_000);
  assert.equal((await client.unary(large)).message, large);
  assert.deepEqual(
    (await gateway.recorded(3)).map(({ status, httpVersion }) => [status, httpVersion]),
    [
      [200, '2'],
      [200, '2'],
      [200, '2'],
    ],
  );
});

test('carries streams of every kind, each message as it comes', async (t) => {
  const { client } = await setUp(t);
  assert.deepEqual((await endOf(client.serverStream('abc'))).messages, ['a', 'b', 'c']);
  let answer: string | undefined;
  const upload = client.clientStream({}, (message) => (answer = message));
  for (const piece of ['a', 'b', 'c']) upload.write(Buffer.from(piece));
  upload.end();
  await until('the answer', () => answer === 'abc');
  const call = client.bidi();
  const end = endOf(call);
  let got = 0;
  call.on('data', () => {
    if (++got < 5) call.write(Buffer.from(String(got)));
    else call.end();
  });
  call.write(Buffer.from('0'));
  const { code, messages } = await end;
  assert.deepEqual([code, messages], [0, ['0', '1', '2', '3', '4']]);
});

test('tells the server that a client has cancelled', async (t) => {
  const { client, server } = await setUp(t);
  const call = client.serverStream('a+');
  call.on('error', () => {});
  call.once('data', () => call.cancel());
  await until('the cancelling', () => server.calls[0]?.cancelled === true);
});

test('ends a call whose time is over with DEADLINE_EXCEEDED, whoever asks, and tells the server', async (t) => {
  const { client, server, gateway } = await setUp(t);
  assert.equal(
    (await client.unary('hang', {}, { deadline: Date.now() + 150 })).code,
    grpc.status.DEADLINE_EXCEEDED,
  );
  // A client without a clock of its own hears it from the gateway.
  const plain = new Http2Client(t, gateway.port);
  const fields = {
    ':method': 'POST',
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '100m',
  };
  const message = (text: string) =>
    Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);
  const unary = await plain.call({ ...fields, ':path': '/test.Echo/Unary' }, message('hang'));
  assert.deepEqual([unary.status, unary.fields['grpc-status'], unary.code], [200, '4', 0]);
  const begun = await plain.call({ ...fields, ':path': '/test.Echo/ServerStream' }, message('a+'));
  assert.deepEqual([begun.status, begun.trailers?.['grpc-status']], [200, '4']);
  await until(
    'the cancelling',
    () => server.calls.length === 3 && server.calls.every(({ cancelled }) => cancelled),
  );
});

test('says UNAVAILABLE when there is no server, and when it dies before and amid an answer', async (t) => {
  const { server, client, gateway } = await setUp(t);
  const amid = client.serverStream('a+');
  const end = endOf(amid);
  await new Promise((resolve) => amid.once('data', resolve));
  const before = client.unary('hang');
  await until('the call', () => server.calls.length === 2);
  server.kill();
  assert.equal((await before).code, grpc.status.UNAVAILABLE);
  const { code, messages } = await end;
  assert.deepEqual([code, messages], [grpc.status.UNAVAILABLE, ['a', '+']]);
  assert.equal((await client.unary('x')).code, grpc.status.UNAVAILABLE);
  assert.deepEqual(
    (await gateway.recorded(3)).map(({ status, upstreamStatus }) => [status, upstreamStatus]).sort(),
    [
      [200, 200],
      [502, 502],
      [502, 502],
    ],
  );
});

const ANSWERS: [status: number, body: string | undefined, code: number, details: string][] = [
  [400, undefined, grpc.status.INTERNAL, 'Bad Request'],
  [401, '{"message":"no kéy, 100 %"}', grpc.status.UNAUTHENTICATED, 'no kéy, 100 %'],
  [403, '{"error_msg":"not you"}', grpc.status.PERMISSION_DENIED, 'not you'],
  [404, undefined, grpc.status.UNIMPLEMENTED, 'Not Found'],
  [413, undefined, grpc.status.RESOURCE_EXHAUSTED, 'Request Entity Too Large'],
  [429, undefined, grpc.status.UNAVAILABLE, 'Too Many Requests'],
  [503, '{broken', grpc.status.UNAVAILABLE, 'Service Temporarily Unavailable'],
  [500, undefined, grpc.status.UNKNOWN, 'Internal Server Error'],
];
for (const [status, body, code, details] of ANSWERS) {
  test(`says ${grpc.status[code]} to a call where it says ${status} to others`, async (t) => {
    const deny = plugin('deny', { access: () => reply(status, body, { headers: [['X-Why', 'so']] }) });
    const { client, gateway, server } = await setUp(t, {
      plugins: [deny],
      globalRules: [{ plugins: { deny: {} } }],
    });
    const end = await client.unary('hello');
    assert.deepEqual([end.code, end.details, end.metadata.get('x-why')], [code, details, ['so']]);
    assert.equal(server.calls.length, 0);
    assert.equal((await gateway.recorded(1))[0].status, status);
    const web = await new Http2Client(t, gateway.port).call({
      ':path': '/',
      'content-type': 'application/grpc-web',
    });
    assert.equal(web.status, status);
  });
}

test('says UNIMPLEMENTED where no Route matches, RESOURCE_EXHAUSTED to a message too large', async (t) => {
  const none = await Gateway.start(t, { routes: [], listener: { http2: true } });
  assert.equal((await new GrpcClient(t, none.port).unary('x')).code, grpc.status.UNIMPLEMENTED);
  const { client } = await setUp(t, { limits: { maxBodyBytes: 1000 } });
  assert.equal((await client.unary('x'.repeat(2000))).code, grpc.status.RESOURCE_EXHAUSTED);
});

test('asks another Target where the first is not there', async (t) => {
  const server = await startGrpc(t);
  const gateway = await Gateway.start(t, {
    routes: [route('all', [await freePort(), server.port], { upstream: { scheme: 'grpc' } })],
    listener: { http2: true },
  });
  const end = await new GrpcClient(t, gateway.port).unary('hello');
  assert.deepEqual([end.code, end.message], [0, 'hello']);
  assert.equal((await gateway.recorded(1))[0].attempts, 2);
});
