import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { equalInConstantTime } from './constant-time.ts';

test('agrees with ===, for texts of any length', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 6 });
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(equalInConstantTime(a, b), a === b);
      assert.equal(equalInConstantTime(a, a), true);
    }),
  );
});

test('compares a text with its bytes', () => {
  assert.equal(equalInConstantTime(Buffer.from('pässword'), 'pässword'), true);
  assert.equal(equalInConstantTime(Buffer.from('password'), 'pässword'), false);
});
