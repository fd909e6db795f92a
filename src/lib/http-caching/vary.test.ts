import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalizeSelecting, parseVary } from './vary.ts';

test('names the fields once, in lower case and in order', () => {
  assert.deepEqual(parseVary(['Foo, bar', ' FOO ,']), ['bar', 'foo']);
  assert.deepEqual(parseVary([]), []);
});

for (const values of [['*'], ['*, *'], [', *'], ['', '*'], ['Foo, *'], ['*, Foo']])
  test(`suits nobody with ${JSON.stringify(values)}`, () => assert.equal(parseVary(values), undefined));

test('tells a field that is empty from one that is not there', () => {
  assert.equal(normalizeSelecting('x', []), undefined);
  assert.equal(normalizeSelecting('x', ['']), '');
});

const member = fc.constantFrom('en', 'de;q=0.5', 'fr-CH', '*;q=0');

test('takes preferences for the same in any case, order and spacing, and others not', () => {
  fc.assert(
    fc.property(fc.uniqueArray(member), fc.uniqueArray(member), fc.boolean(), (some, others, upper) => {
      const one = normalizeSelecting('accept-language', [some.join(',')]);
      const spaced = [...some].reverse().join(' ,  ').replaceAll(';', ' ; ');
      assert.equal(normalizeSelecting('accept-language', [upper ? spaced.toUpperCase() : spaced]), one);
      const same = some.length === others.length && some.every((word) => others.includes(word));
      assert.equal(normalizeSelecting('accept-language', [others.join(',')]) === one, same);
    }),
  );
});

test('keeps the order and case of other fields, and what is in quotes', () => {
  assert.notEqual(normalizeSelecting('foo', ['1, 2']), normalizeSelecting('foo', ['2, 1']));
  assert.notEqual(normalizeSelecting('foo', ['a']), normalizeSelecting('foo', ['A']));
  assert.notEqual(normalizeSelecting('foo', ['"a,b"']), normalizeSelecting('foo', ['"a, b"']));
  assert.equal(normalizeSelecting('foo', ['1', '2']), normalizeSelecting('foo', [' 1,2 ']));
});
