import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUnmodified, rangeApplies } from './conditions.ts';
import { type Field, FieldList } from './field-list.ts';

const DATE = Date.UTC(2026, 10, 21);
const at = (seconds: number) => new Date(DATE + seconds * 1000).toUTCString();
const stored = { etag: 'W/"a,b"', lastModified: DATE - 100_000, date: DATE };
const unmodified = (fields: readonly Field[], own: Parameters<typeof isUnmodified>[1] = stored) =>
  isUnmodified(new FieldList(fields), own);

test('compares tags weakly, among several, and with any', () => {
  assert.equal(unmodified([['If-None-Match', '"a,b"']]), true);
  assert.equal(unmodified([['If-None-Match', '"x", W/"a,b"']]), true);
  assert.equal(unmodified([['If-None-Match', '*']]), true);
  assert.equal(unmodified([['If-None-Match', '"a", "b"']]), false);
  assert.equal(unmodified([['If-None-Match', '"a"']], { ...stored, etag: undefined }), false);
});

test('looks at the date only where there is no tag', () => {
  assert.equal(unmodified([['If-Modified-Since', at(-100)]]), true);
  assert.equal(unmodified([['If-Modified-Since', at(-101)]]), false);
  assert.equal(
    unmodified([
      ['If-Modified-Since', at(0)],
      ['If-None-Match', '"x"'],
    ]),
    false,
  );
  assert.equal(unmodified([['If-Modified-Since', 'yesterday']]), false);
  assert.equal(unmodified([]), false);
});

test('takes the Date where nothing says when it was modified', () => {
  const own = { ...stored, lastModified: undefined };
  assert.equal(unmodified([['If-Modified-Since', at(0)]], own), true);
  assert.equal(unmodified([['If-Modified-Since', at(-1)]], own), false);
});

test('gives a part only to who has the rest of this very version', () => {
  const applies = (value: string, own = stored) =>
    rangeApplies(new FieldList([['If-Range', value]]), own, at(-100));
  assert.equal(rangeApplies(new FieldList([]), stored, undefined), true);
  assert.equal(applies('"a,b"'), false, 'a weak tag does not say that bytes are the same');
  assert.equal(applies('"x"', { ...stored, etag: '"x"' }), true);
  assert.equal(applies(at(-100)), true);
  assert.equal(applies(at(-99)), false);
  assert.equal(
    applies(at(-100), { ...stored, lastModified: DATE - 1000 }),
    false,
    'it may have changed within that second',
  );
});
