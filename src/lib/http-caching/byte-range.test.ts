import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { resolveRange } from './byte-range.ts';

test('gives the bytes that somebody who counts them one by one would', () => {
  const bound = fc.option(fc.nat(30), { nil: undefined });
  fc.assert(
    fc.property(bound, bound, fc.nat(20), (first, last, length) => {
      const positions = Array.from({ length }, (_, at) => at);
      const wanted =
        first === undefined
          ? positions.filter((at) => at >= length - (last ?? 0))
          : positions.filter((at) => at >= first && at <= (last ?? Number.POSITIVE_INFINITY));
      const range = resolveRange(`bytes=${first ?? ''}-${last ?? ''}`, length);
      if (first === undefined && last === undefined) assert.equal(range, undefined);
      else if (first !== undefined && last !== undefined && last < first) assert.equal(range, undefined);
      else if (wanted.length === 0) assert.equal(range, 'unsatisfiable');
      else {
        assert.ok(typeof range === 'object');
        assert.deepEqual(positions.slice(range.start, range.end), wanted);
      }
    }),
  );
});

for (const field of ['bytes=0-1,3-4', 'items=0-1', 'bytes=a-b', 'bytes 0-1', ''])
  test(`ignores ${JSON.stringify(field)}`, () => assert.equal(resolveRange(field, 10), undefined));
