import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { grpcMessage, grpcStatusOf, grpcTimeout } from './grpc-status.ts';

test('says what an HTTP status means in gRPC, UNKNOWN for all that the table leaves out', () => {
  const said = [400, 401, 403, 404, 413, 429, 431, 502, 503, 504, 200, 302, 409, 500].map(grpcStatusOf);
  assert.deepEqual(said, [13, 16, 7, 12, 8, 14, 8, 14, 14, 14, 2, 2, 2, 2]);
});

test('encodes any message so that it is one line of ASCII and decodes to itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const encoded = grpcMessage(text);
      assert.match(encoded, /^[ -~]*$/);
      assert.equal(decodeURIComponent(encoded), text.toWellFormed());
    }),
  );
  assert.equal(grpcMessage('100 %\r\nx: é'), '100 %25%0D%0Ax: %C3%A9');
});

test('reads timeouts in all units and nothing else', () => {
  const milliseconds = ['1H', '2M', '3S', '4m', '5000u', '6000000n', '99999999m'].map(grpcTimeout);
  assert.deepEqual(milliseconds, [3_600_000, 120_000, 3000, 4, 5, 6, 99_999_999]);
  for (const bad of ['', '1', 'S', '1s', '-1S', '1.5S', '123456789S', ' 1S', '1S ']) {
    assert.equal(grpcTimeout(bad), undefined, bad);
  }
});
