import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expressionError } from './expression-check.ts';
import { patternError, replacementError } from './pattern-check.ts';

test('says what is wrong with a pattern', () => {
  assert.equal(patternError('^/('), 'pcre2_compile() failed: missing closing parenthesis in "^/("');
  assert.equal(patternError('^/(.*)'), undefined);
});

test('says what is wrong with a replacement', () => {
  assert.match(replacementError('a', '$name') ?? '', /^failed to compile the replacement template/);
  assert.match(replacementError('(', '$1') ?? '', /^pcre2_compile\(\) failed/);
  assert.equal(replacementError('(a)', '$1'), undefined);
});

test('says what is wrong with an expression', () => {
  assert.equal(expressionError([['arg_a', '???', 1]]), "invalid operator '???'");
  assert.equal(expressionError([['arg_a', '==', 1]]), undefined);
});
