import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAcceptEncoding } from './accept-encoding.ts';

const weights = (value: string | undefined, ...codings: string[]) => {
  const accepted = parseAcceptEncoding(value);
  return codings.map((coding) => accepted.weight(coding));
};

test('gives each coding its weight', () => {
  assert.deepEqual(weights('gzip;q=0.5, br ; q=1.000,zstd', 'gzip', 'br', 'zstd', 'deflate'), [0.5, 1, 1, 0]);
});

test('knows names in any case, and x-gzip', () => {
  assert.deepEqual(weights('X-GZIP;Q=0.3, Br', 'gzip', 'br'), [0.3, 1]);
});

test('lets * stand for what is not named', () => {
  assert.deepEqual(weights('gzip;q=0, *;q=0.2', 'gzip', 'br'), [0, 0.2]);
});

test('accepts nothing where nothing is said', () => {
  assert.deepEqual(weights(undefined, 'gzip'), [0]);
  assert.deepEqual(weights('', 'gzip'), [0]);
  assert.equal(parseAcceptEncoding(undefined).identity > 0, true);
});

test('takes a coding with a malformed weight for one that is not wanted', () => {
  assert.deepEqual(
    weights('gzip;q=2, br;q=, zstd;q=0.1234, deflate;x=1', 'gzip', 'br', 'zstd', 'deflate'),
    [0, 0, 0, 0],
  );
});

test('knows what a client thinks of the body as it is', () => {
  assert.equal(parseAcceptEncoding('identity;q=0, gzip').identity, 0);
  assert.equal(parseAcceptEncoding('*;q=0, gzip').identity, 0);
  assert.equal(parseAcceptEncoding('*;q=0, identity;q=0.5').identity, 0.5);
  const { identity } = parseAcceptEncoding('gzip;q=0.001');
  assert.ok(identity > 0 && identity < 0.001);
});
