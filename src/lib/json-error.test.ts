import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonError, nestedTooDeep } from './json-error.ts';

test('says what lua-cjson says', () => {
  for (const [text, expected] of [
    ['{"uri": "/x", ', 'Expected object key string but found T_END at character 15'],
    ['{"a":1,}', 'Expected object key string but found T_OBJ_END at character 8'],
    ['{not json}', 'Expected object key string but found invalid token at character 2'],
    ['x', 'Expected value but found invalid token at character 1'],
    ['{"a":1', 'Expected comma or object end but found T_END at character 7'],
    ['{"a" 1}', 'Expected colon but found T_NUMBER at character 6'],
    ['[1 2]', 'Expected comma or array end but found T_NUMBER at character 4'],
    ['{ "unexpected eof": ', 'Expected value but found T_END at character 21'],
    ['{ "extra data": true }, false', 'Expected the end but found T_COMMA at character 23'],
    [
      ' { "bad escape \\q code" } ',
      'Expected object key string but found invalid escape code at character 16',
    ],
    [
      ' { "bad unicode \\u0f6 escape" } ',
      'Expected object key string but found invalid unicode escape code at character 17',
    ],
    [' [ "bad barewood", test ] ', 'Expected value but found invalid token at character 20'],
    ['[ -+12 ]', 'Expected value but found invalid number at character 3'],
  ]) {
    assert.equal(jsonError(text), expected);
  }
});

test('has an answer for every broken text, and knows deep nesting from deep strings', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.string({ maxLength: 3 }), (json, at, piece) => {
      const text = json.slice(0, at % (json.length + 1)) + piece;
      assert.match(jsonError(text), /^(?:Expected|Found)/);
      assert.equal(nestedTooDeep(json), false);
    }),
  );
  assert.equal(nestedTooDeep(`${'['.repeat(1001)}${']'.repeat(1001)}`), true);
  assert.equal(nestedTooDeep(JSON.stringify('\\"['.repeat(2000))), false);
  assert.match(
    jsonError('['.repeat(100_000)),
    /^Found too many nested data structures \(1001\) at character 1001$/,
  );
});
