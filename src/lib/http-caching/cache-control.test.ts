import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_SECONDS, NO_DIRECTIVES, parseCacheControl } from './cache-control.ts';
import { parseTargetedCacheControl } from './targeted-cache-control.ts';

test('reads numbers, truths and names of fields', () => {
  const said = parseCacheControl([
    'max-age=60, S-MaxAge="30", public',
    'no-cache="Set-Cookie, X-A", foo=bar',
  ]);
  assert.equal(said.maxAge, 60);
  assert.equal(said.sMaxAge, 30);
  assert.equal(said.public, true);
  assert.equal(said.noCache, false);
  assert.deepEqual(said.noCacheFields, ['set-cookie', 'x-a']);
  assert.equal(parseCacheControl([]), NO_DIRECTIVES);
});

for (const [value, seconds] of [
  ['max-age=003600', 3600],
  ['max-age=99999999999', MAX_SECONDS],
  ['max-age=60, max-age=1', 60],
  ['max-age', 0],
  ['max-age=', 0],
  ['max-age=-60', 0],
  ['max-age=60.5', 0],
  ['max-age=60a', 0],
  ["max-age='60'", 0],
  ['max-age =60', 0],
  ['max-age= 60', 0],
  ['extension="max-age=60"', undefined],
  ['extension="a\\", max-age=60", max-age=1', 1],
  [', ,max-age=60,', 60],
  ['@@@, max-age=60', 60],
] as const) {
  test(`takes ${value} for ${seconds} seconds`, () =>
    assert.equal(parseCacheControl([value]).maxAge, seconds));
}

test('knows max-stale with and without a number', () => {
  assert.equal(parseCacheControl(['max-stale']).maxStale, Number.POSITIVE_INFINITY);
  assert.equal(parseCacheControl(['max-stale=5']).maxStale, 5);
});

const flag = fc.constantFrom('no-store', 'private', 'public', 'must-revalidate', 'no-cache');
const ageDirective = fc.nat(100_000).map((seconds) => `max-age=${seconds}`);
const noise = fc.constantFrom('x', 'x=1', 'x="a, no-store, b"', '', 'immutable');

test('finds what was said among whatever else, in any case and over any number of fields', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(flag, noise)), fc.option(ageDirective), fc.nat(), (words, age, cut) => {
      const all = age === null ? words : [...words, age];
      const at = cut % (all.length + 1);
      const said = parseCacheControl([all.slice(0, at).join(' ,').toUpperCase(), all.slice(at).join(',')]);
      assert.equal(said.noStore, words.includes('no-store'));
      assert.equal(said.private, words.includes('private'));
      assert.equal(said.public, words.includes('public'));
      assert.equal(said.noCache, words.includes('no-cache'));
      assert.equal(said.maxAge, age === null ? undefined : Number(age.slice(8)));
    }),
  );
});

test('ends for any text at all', () => {
  fc.assert(fc.property(fc.array(fc.string()), (values) => void parseCacheControl(values)));
  fc.assert(fc.property(fc.array(fc.string()), (values) => void parseTargetedCacheControl(values)));
});

for (const [value, seconds] of [
  ['max-age=60', 60],
  ['foobar, max-age=60;a=1;b="x";c', 60],
  ['a=(1 2), max-age=60', 'ignored'],
  ['max-age=1, max-age=60', 60],
  ['no-store=?0, max-age=60', 60],
  ['max-age=10000, &&&&&', 'ignored'],
  ['MaX-aGe=60', 'ignored'],
  ['max-age =60', 'ignored'],
  ['max-age= 60', 'ignored'],
  ['max-age=60,', 'ignored'],
  ['', 'ignored'],
  ['max-age="60"', undefined],
] as const) {
  test(`takes the targeted field ${JSON.stringify(value)} for ${seconds}`, () => {
    const said = parseTargetedCacheControl([value]);
    assert.equal(said === undefined ? 'ignored' : said.maxAge, seconds);
    if (said !== undefined) assert.equal(said.noStore, false);
  });
}
