import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBase64 } from './base64-body.ts';

const TEXTS = /^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/;

/** As one would write it down for short bodies. */
function naive(text: string): Buffer | undefined {
  if (!TEXTS.test(text)) return undefined;
  return Buffer.concat((text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, 'base64')));
}

test('decodes texts in a row, and refuses what is none, as the naive way does', () => {
  const texts = fc.array(
    fc.uint8Array({ maxLength: 7 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  );
  const near = fc.array(fc.constantFrom(...'AZaz09+/=-_ \n\xff'), { maxLength: 12 });
  fc.assert(
    fc.property(fc.oneof(texts, near), (parts) => {
      const text = parts.join('');
      assert.deepEqual(decodeBase64(Buffer.from(text, 'latin1')), naive(text));
    }),
    { numRuns: 2000 },
  );
});

test('decodes a large body, also one of many short texts', () => {
  const large = Buffer.alloc(12 * 1024 * 1024, 'gRPC');
  assert.equal(decodeBase64(Buffer.from(large.toString('base64')))?.equals(large), true);
  assert.equal(decodeBase64(Buffer.alloc(16 * 1024 * 1024, 'AA=='))?.length, 4 * 1024 * 1024);
});
