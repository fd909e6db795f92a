import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keySlot } from './key-slot.ts';

test('finds the slots that the specification and CLUSTER KEYSLOT name', () => {
  assert.equal(keySlot('123456789'), 0x31c3);
  assert.equal(keySlot('somekey'), 11_058);
  assert.equal(keySlot('foo{hash_tag}'), 2515);
  assert.equal(keySlot(''), 0);
});

test('looks at the first {…} alone, unless it is empty or open', () => {
  assert.equal(keySlot('{user1000}.following'), keySlot('{user1000}.followers'));
  assert.equal(keySlot('foo{{bar}}zap'), keySlot('{bar'));
  assert.equal(keySlot('foo{bar}{zap}'), keySlot('bar'));
  assert.notEqual(keySlot('foo{}{bar}'), keySlot('bar'));
  assert.notEqual(keySlot('foo{bar'), keySlot('bar'));
});
