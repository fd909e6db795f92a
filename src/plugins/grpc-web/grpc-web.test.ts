import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunOptions, run } from '../../plugin/testing.ts';
import { grpcWeb } from './grpc-web.ts';

const TYPE = 'application/grpc-web+proto';
const POST = { method: 'POST', target: '/grpc/shop.Cart/Get', headers: { 'content-type': TYPE }, body: 'x' };
const ON: RunOptions = { variables: { matched_uri: '/grpc/*' } };

test('asks the gRPC server for what the * stands for, as gRPC', async () => {
  const { request } = await run(grpcWeb, {}, POST, ON);
  assert.deepEqual([request.path, request.headers['content-type']], ['/shop.Cart/Get', 'application/grpc']);
  const kept = await run(
    grpcWeb,
    { strip_path: true },
    { ...POST, target: '/shop.Cart/Get' },
    { variables: { matched_uri: '/shop.Cart/*' } },
  );
  assert.equal(kept.request.path, '/shop.Cart/Get');
});

test('answers a preflight, and lets scripts of any origin read answers unless cors has said which', async () => {
  const { reply, response } = await run(grpcWeb, {}, { ...POST, method: 'OPTIONS' }, ON);
  assert.equal(reply?.status, 204);
  assert.deepEqual(
    ['methods', 'headers', 'origin'].map((what) => response.headers[`access-control-allow-${what}`]),
    ['POST, OPTIONS', 'content-type,x-grpc-web,x-user-agent,grpc-accept-encoding', '*'],
  );
  const said = await run(grpcWeb, {}, POST, {
    ...ON,
    upstream: { headers: { 'access-control-allow-origin': 'https://a.example' } },
  });
  assert.equal(said.response.headers['access-control-allow-origin'], 'https://a.example');
  assert.equal(said.response.headers['access-control-expose-headers'], 'grpc-status,grpc-message');
});

for (const [name, request, options] of [
  ['another method', { ...POST, method: 'PUT' }, ON],
  ['another media type', { ...POST, headers: { 'content-type': 'application/json' } }, ON],
  ['no media type', { ...POST, headers: {} }, ON],
  ['a Route without *', POST, { variables: { matched_uri: '/grpc/shop.Cart/Get' } }],
  ['a body that is not Base64', { ...POST, headers: { 'content-type': 'application/grpc-web-text' } }, ON],
] as const) {
  test(`answers 400 to ${name}`, async () => {
    const { reply, log } = await run(grpcWeb, {}, request, options);
    assert.equal(reply?.status, 400);
    assert.equal(log.length, 1);
  });
}

test('passes messages on, and says what a server without trailers leaves open', async () => {
  const { response } = await run(grpcWeb, {}, POST, { ...ON, upstream: { body: 'message' } });
  assert.equal(response.headers['content-type'], TYPE);
  const frame = 'grpc-status:2\r\ngrpc-message:no status\r\n';
  assert.equal(
    Buffer.from(response.bytes).latin1Slice(),
    `message\x80\0\0\0${String.fromCharCode(frame.length)}${frame}`,
  );
});

test('leaves an answer without messages as it is, but for its type', async () => {
  const { response } = await run(grpcWeb, {}, POST, { ...ON, upstream: { headers: { 'grpc-status': '5' } } });
  assert.deepEqual([response.bytes.length, response.headers['content-type']], [0, TYPE]);
});
