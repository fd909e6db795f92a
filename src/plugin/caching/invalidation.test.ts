import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldList } from '../../lib/http-caching/field-list.ts';
import { invalidated, sameResource } from './invalidation.ts';

const of = (location: string) => [
  ...invalidated('shop.example/a/b?x=1', new FieldList([['Location', location]])),
];

for (const [location, other] of [
  ['/c?y=2', 'shop.example/c?y=2'],
  ['c', 'shop.example/a/c'],
  ['http://shop.example/d', 'shop.example/d'],
  ['https://SHOP.example:443/d', 'shop.example/d'],
] as const) {
  test(`takes ${location} for ${other}`, () =>
    assert.deepEqual(of(location), ['shop.example/a/b?x=1', other]));
}

for (const location of [
  'http://other.example/c',
  'http://shop.example:8080/c',
  'http://',
  '//other.example/c',
])
  test(`leaves ${location} alone`, () => assert.deepEqual(of(location), ['shop.example/a/b?x=1']));

test('knows a response that is what a GET would get', () => {
  const says = (value: string) =>
    sameResource('shop.example/a?x', new FieldList([['Content-Location', value]]));
  assert.equal(says('/a?x'), true);
  assert.equal(says('http://shop.example/a?x'), true);
  assert.equal(says('/a'), false);
  assert.equal(sameResource('shop.example/a', new FieldList([])), false);
});
