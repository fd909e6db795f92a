import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isGrpc, readHead, requestText, responseText } from './head-text.ts';

const GET = [':method', 'GET', ':scheme', 'https', ':path', '/a?b', ':authority', 'shop.example'];

test('writes a request as HTTP/1.1 has it', () => {
  assert.equal(requestText(GET, true)?.text, 'GET /a?b HTTP/1.1\r\nHost: shop.example\r\n\r\n');
  const post = [
    ':method',
    'POST',
    ...GET.slice(2),
    'cookie',
    'a=1',
    'x-a',
    '1',
    'cookie',
    'b=2',
    'te',
    'trailers',
  ];
  assert.equal(
    requestText(post, false)?.text,
    'POST /a?b HTTP/1.1\r\nHost: shop.example\r\nx-a: 1\r\nte: trailers\r\ncookie: a=1; b=2\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  assert.doesNotMatch(requestText([...post, 'content-length', '3'], false)!.text, /chunked/);
});

test('takes Host where there is no :authority, and shows both where they differ', () => {
  const bare = GET.slice(0, 6);
  assert.match(requestText([...bare, 'host', 'a'], true)!.text, /\r\nHost: a\r\n\r\n$/);
  assert.doesNotMatch(requestText([...GET, 'host', 'SHOP.example'], true)!.text, /Host:[\s\S]*Host:/);
  assert.match(requestText([...GET, 'host', 'b'], true)!.text, /Host: shop\.example\r\nHost: b\r\n/);
});

test('refuses what HTTP/1.1 text could not show', () => {
  for (const more of [
    ['x-a', 'a\r\nx-b: 1'],
    ['x-a\r\nx-b', '1'],
    ['x-a', 'a\0'],
    ['connection', 'close'],
    ['transfer-encoding', 'chunked'],
    ['te', 'gzip'],
    [':status', '200'],
  ]) {
    assert.equal(requestText([...GET, ...more], true), undefined, JSON.stringify(more));
  }
  for (const path of ['', 'a', 'http://b/', '/a b', '/a\tb', '/a\x00']) {
    assert.equal(requestText([...GET.slice(0, 5), path, ...GET.slice(6)], true), undefined, path);
  }
});

test('knows gRPC by its media type', () => {
  const types = ['application/grpc', 'application/grpc+proto', 'application/grpc;a=b'];
  assert.ok(types.every(isGrpc));
  assert.ok(!['application/grpc-web', 'application/grpcx', 'application/json', ''].some(isGrpc));
});

test('reads a head that the engine wrote, and leaves the body', () => {
  const bytes = Buffer.from('junkHTTP/1.1 200 OK\r\nA: 1\r\nB:  x:y \r\nEmpty:\r\n\r\nbody');
  const head = readHead(bytes, 4, bytes.length)!;
  assert.deepEqual(
    [head.line, head.fields, bytes.subarray(head.bodyStart).toString()],
    ['HTTP/1.1 200 OK', ['a', '1', 'b', 'x:y', 'empty', ''], 'body'],
  );
  assert.equal(readHead(bytes, 4, 20), undefined);
  assert.deepEqual(readHead(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 0, 19)?.fields, []);
});

test('writes a response without what belongs to a connection', () => {
  assert.equal(
    responseText(200, [':status', '200', 'x-a', '1', 'connection', 'close', 'x-b', 'a\nb'], 'F: 1\r\n'),
    'HTTP/1.1 200 OK\r\nx-a: 1\r\nF: 1\r\n\r\n',
  );
});

test('knows a body without a length by itself, not by what fields say', () => {
  const trap = [...GET, 'content-length', '3', 'x-a', 'Transfer-Encoding: chunked'];
  assert.equal(requestText(trap, false)!.chunked, false);
  assert.equal(requestText(GET, false)!.chunked, true);
  assert.equal(requestText(GET, true)!.chunked, false);
});
