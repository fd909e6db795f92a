import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodePath, encodeUri } from './percent-encoding.ts';

test('encodes controls, spaces and backslashes', () => {
  assert.equal(encodeUri('/a b\r\n\\"<x>'), '/a%20b%0D%0A%5C%22%3Cx%3E');
});

test('keeps triplets and encodes a percent sign that begins none', () => {
  assert.equal(encodeUri('/a%2Fb%zz%'), '/a%2Fb%25zz%25');
});

test('encodes what is beyond ASCII as UTF-8', () => {
  assert.equal(encodeUri('/ö/\u{1f600}/\ud800'), '/%C3%B6/%F0%9F%98%80/%EF%BF%BD');
});

test('keeps every delimiter of a URI', () => {
  const text = "https://u@h:1/p;a=b,c/!$&'()*+-._~[x]?q=1#f";
  assert.equal(encodeUri(text), text);
});

test('encodes question and number sign inside a path', () => {
  assert.equal(encodePath('/a?b#c'), '/a%3Fb%23c');
});

test('gives only printable ASCII, and the same when applied again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const once = encodeUri(text);
      assert.match(once, /^[\x21-\x7e]*$/);
      assert.equal(encodeUri(once), once);
    }),
  );
});
