import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSealed, Sealing } from './sealing.ts';

const sealing = new Sealing(Buffer.alloc(32, 1));

test('opens what it sealed, for the same field only', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), fc.string(), (text, field, owner) => {
      const sealed = sealing.seal(text, field, owner);
      assert.ok(isSealed(sealed));
      assert.equal(sealing.open(sealed, field), text);
      assert.equal(sealing.open(sealed, `${field}x`), undefined);
    }),
  );
});

test('gives the same text for the same secret, and tells nothing to other owners', () => {
  assert.equal(
    sealing.seal('s', 'key-auth.key', 'consumers/a'),
    sealing.seal('s', 'key-auth.key', 'consumers/a'),
  );
  assert.notEqual(
    sealing.seal('s', 'key-auth.key', 'consumers/a'),
    sealing.seal('s', 'key-auth.key', 'consumers/b'),
  );
});

test('refuses another key, and any changed bit', () => {
  const sealed = sealing.seal('secret', 'f', 'o');
  assert.equal(new Sealing(Buffer.alloc(32, 2)).open(sealed, 'f'), undefined);
  const bytes = Buffer.from(sealed.slice('sealed:1:'.length), 'base64url');
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] ^= 1;
    assert.equal(sealing.open(`sealed:1:${changed.toString('base64url')}`, 'f'), undefined);
  }
  for (const broken of ['sealed:1:', 'sealed:1:AAAA', 'plain'])
    assert.equal(sealing.open(broken, 'f'), undefined);
});

test('wants a key worth the name', () => {
  assert.throws(() => new Sealing(Buffer.alloc(16)), /32 bytes/);
});
