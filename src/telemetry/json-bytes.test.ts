import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Latin1Buffer } from '../model/exchange-record.ts';
import { jsonText, putEscaped, putInteger, putMilliseconds } from './json-bytes.ts';

const out = Buffer.alloc(4096) as Latin1Buffer;

test('escapes any bytes so that JSON gives them back as latin1', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const end = putEscaped(out, 0, bytes, 0, bytes.length);
      const text = out.toString('latin1', 0, end);
      assert.match(text, /^[ -~]*$/);
      assert.equal(JSON.parse(`"${text}"`), Buffer.from(bytes).toString('latin1'));
    }),
  );
});

test('writes whole numbers as JavaScript does', () => {
  const written = (value: number) => out.toString('latin1', 0, putInteger(out, 0, value));
  const known = [0, 1, 9, 10, 99, 100, 999, 1000, 99_999, 1e6, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
  for (const value of known) assert.equal(written(value), String(value));
  fc.assert(fc.property(fc.maxSafeNat(), (value) => assert.equal(written(value), String(value))));
  for (const value of [Number.NaN, -1]) assert.equal(written(value), '0');
});

test('writes milliseconds with three decimals', () => {
  const written = (value: number) => out.toString('latin1', 0, putMilliseconds(out, 0, value));
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), (value) =>
      assert.equal(written(value / 1000), (value / 1000).toFixed(3)),
    ),
  );
  for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY]) assert.equal(written(value), '0.000');
});

test('keeps text of the configuration, all in ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = jsonText(text).toString('latin1');
      assert.match(json, /^[ -~]*$/);
      assert.equal(JSON.parse(`"${json}"`), text);
    }),
  );
});
