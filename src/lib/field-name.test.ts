import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFieldName } from './field-name.ts';

test('takes tokens and nothing else', () => {
  for (const name of ['X-A', 'x_y', "!#$%&'*+-.^`|~9"]) assert.equal(isFieldName(name), true, name);
  for (const name of ['', 'X A', 'X:', 'X\r\n', 'X\0', 'ö', '(x)'])
    assert.equal(isFieldName(name), false, name);
});
