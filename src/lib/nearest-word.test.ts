import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestWord } from './nearest-word.ts';

const KNOWN = ['routes', 'services', 'upstreams', 'ssls', 'workers'];

test('finds the word with a letter missing, added, replaced, or two swapped', () => {
  for (const word of ['route', 'routess', 'rputes', 'rotues', 'Routes']) {
    assert.equal(nearestWord(word, KNOWN), 'routes', word);
  }
  assert.equal(nearestWord('upstraem', KNOWN), 'upstreams');
});

test('finds nothing for a word of another kind', () => {
  for (const word of ['banana', '', 'rt', 'listen']) assert.equal(nearestWord(word, KNOWN), undefined, word);
});
