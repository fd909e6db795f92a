import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldValue } from './field-value.ts';

test('turns line breaks and other controls into spaces', () => {
  assert.equal(fieldValue('a\r\nX-Evil: 1\0\x7f\tb'), 'a  X-Evil: 1  \tb');
});

test('leaves a clean value as it is', () => {
  assert.equal(fieldValue('text/plain; q="é"'), 'text/plain; q="é"');
});

test('writes characters beyond one byte as UTF-8', () => {
  assert.equal(fieldValue('\u010d\u010aX'), '\xc4\x8d\xc4\x8aX');
});

test('lets no control byte through, whatever comes in', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const wire = Buffer.from(fieldValue(text), 'latin1');
      assert.ok(wire.every((byte) => byte === 9 || (byte >= 32 && byte !== 127)));
    }),
  );
});
