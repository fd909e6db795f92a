import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KeyedHash } from './keyed-hash.ts';

function digest(hash: KeyedHash, text: string): string {
  hash.of(text);
  return `${hash.a},${hash.b},${hash.c}`;
}

test('gives equal strings equal hashes, however they were put together', () => {
  const hash = new KeyedHash([1, 2, 3, 4]);
  const parts = ['orders', '-', 'gateway/', 'é', '€', '\u{1f600}'];
  assert.equal(digest(hash, parts.join('')), digest(hash, parts.slice(0, 3).join('') + 'é€\u{1f600}'));
});

test('tells apart strings that differ in length, width or padding only', () => {
  const hash = new KeyedHash([1, 2, 3, 4]);
  const texts = [
    '',
    '\0',
    '\0\0',
    '\0\0\0\0',
    '\0\0\0\0\0',
    'ab',
    'a\0b\0',
    '\u6261',
    'abcd',
    '\u6261\u6463',
  ];
  texts.push('a\u0100', '\u0100a', 'abcd\u0100', '\u6261cd\u0100');
  assert.equal(new Set(texts.map((text) => digest(hash, text))).size, texts.length);
});

test('depends on every bit of the key', () => {
  const seen = new Set([digest(new KeyedHash([0, 0, 0, 0]), 'x')]);
  for (let bit = 0; bit < 128; bit++) {
    const key = new Int32Array(4);
    key[bit >> 5] = 1 << (bit & 31);
    seen.add(digest(new KeyedHash(key), 'x'));
  }
  assert.equal(seen.size, 129);
});

test('finds no collision among 100 000 alike keys, in the low bits no more than chance', () => {
  const hash = new KeyedHash([7, 11, 13, 17]);
  const seen = new Set<string>();
  const buckets = new Int32Array(1024);
  for (let i = 0; i < 100_000; i++) {
    seen.add(digest(hash, `limit-count/r/10.0.${i >> 8}.${i & 255}`));
    buckets[hash.c & 1023]++;
  }
  assert.equal(seen.size, 100_000);
  // Mean 97.7, standard deviation 9.9: seven deviations to either side.
  for (const count of buckets) assert.ok(count > 28 && count < 168, `a bucket has ${count}`);
});

test('never gives two different strings one hash', () => {
  const hash = new KeyedHash([5, 6, 7, 8]);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      assert.equal(digest(hash, a) === digest(hash, b), a === b);
    }),
  );
});
