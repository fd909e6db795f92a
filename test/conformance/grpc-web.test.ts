// gRPC-Web to a real gRPC server, as browsers speak it, and trailers behind bodies that are filtered.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { grpcWeb } from '../../src/plugins/grpc-web/grpc-web.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { GrpcClient, startGrpc } from '../support/grpc.ts';

async function setUp(t: TestContext, config = {}) {
  const server = await startGrpc(t);
  const filter = { strip_path: false, enable_in_body_trailers_on_success: true, ...config };
  const gateway = await Gateway.start(t, {
    routes: [route('web', server.port, { upstream: { scheme: 'grpc' }, plugins: { 'grpc-web': filter } })],
    plugins: [grpcWeb],
  });
  return { server, gateway };
}

function message(text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

async function call(port: number, method: string, text: string, inBase64 = false) {
  const bytes = message(text);
  const type = inBase64 ? 'application/grpc-web-text' : 'application/grpc-web+proto';
  const response = await fetch(`http://127.0.0.1:${port}/web/test.Echo/${method}`, {
    method: 'POST',
    headers: { 'content-type': type, 'x-grpc-web': '1' },
    body: inBase64 ? bytes.toString('base64') : bytes,
  });
  assert.equal(response.headers.get('content-type'), type);
  let body = Buffer.from(await response.arrayBuffer());
  if (inBase64) {
    const parts = body.toString().match(/[^=]+=*/g) ?? [];
    body = Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')));
  }
  const frames: [flag: number, text: string][] = [];
  for (let at = 0; at < body.length; at += 5 + body.readUInt32BE(at + 1)) {
    frames.push([body[at], body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1)).toString()]);
  }
  return { response, frames };
}

for (const inBase64 of [false, true]) {
  test(`carries calls ${inBase64 ? 'in Base64' : 'in binary'}, trailers and all`, async (t) => {
    const { gateway } = await setUp(t);
    const unary = await call(gateway.port, 'Unary', 'hello', inBase64);
    assert.equal(unary.response.status, 200);
    assert.deepEqual(unary.frames[0], [0, 'hello']);
    assert.equal(unary.frames[1][0], 0x80);
    assert.match(unary.frames[1][1], /(^|\r\n)grpc-status:0\r\n/);
    assert.match(unary.frames[1][1], /(^|\r\n)x-tail:tail\r\n/);
    const stream = await call(gateway.port, 'ServerStream', 'abc', inBase64);
    assert.deepEqual(stream.frames.slice(0, 3), [
      [0, 'a'],
      [0, 'b'],
      [0, 'c'],
    ]);
    assert.equal(stream.frames.length, 4);
  });
}

test('leaves the trailers of a success out when not told to send them, never those of a failure', async (t) => {
  const { gateway } = await setUp(t, { enable_in_body_trailers_on_success: false });
  assert.deepEqual((await call(gateway.port, 'Unary', 'hello')).frames, [[0, 'hello']]);
  const { response, frames } = await call(gateway.port, 'Unary', 'fail');
  const status =
    response.headers.get('grpc-status') ?? /grpc-status:(\d+)/.exec(frames.at(-1)?.[1] ?? '')?.[1];
  assert.equal(status, '5');
});

test('keeps the trailers of a gRPC call whose body a Plugin filters', async (t) => {
  const server = await startGrpc(t);
  const pass = plugin('pass', {
    responseHeaders: ({ response }) =>
      response.filterBody({ write: (bytes, next) => next.write(bytes), end: (next) => next.end() }),
  });
  const gateway = await Gateway.start(t, {
    routes: [route('all', server.port, { upstream: { scheme: 'grpc' }, plugins: { pass: {} } })],
    plugins: [pass],
    listener: { http2: true },
  });
  const end = await new GrpcClient(t, gateway.port).unary('hello');
  assert.deepEqual([end.code, end.message, end.metadata.get('x-tail')], [0, 'hello', ['tail']]);
});
