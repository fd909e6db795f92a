import assert from 'node:assert/strict';
import { test } from 'node:test';
import { removeQueryParameter } from './query-parameter.ts';

test('removes every parameter of the name and leaves the rest as it was sent', () => {
  assert.equal(removeQueryParameter('k=1&z=%20a&k=2', 'k'), 'z=%20a');
  assert.equal(removeQueryParameter('k=1', 'k'), '');
  assert.equal(removeQueryParameter('k', 'k'), '');
  assert.equal(removeQueryParameter('', 'k'), '');
  assert.equal(removeQueryParameter('kk=1&b', 'k'), 'kk=1&b');
});

test('sees through percent-encoded names', () => {
  assert.equal(removeQueryParameter('%6B=1&a=%', 'k'), 'a=%');
  assert.equal(removeQueryParameter('my+key=1&my%20key=2&%=3', 'my key'), '%=3');
});
