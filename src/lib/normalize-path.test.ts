import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalizePath } from './normalize-path.ts';

/** The same by other means: decode by regular expression, then walk the segments as RFC 3986 5.2.4 does. */
function model(path: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(path) || /%00/.test(path)) return undefined;
  let rest = path
    .replace(/%([0-9A-Fa-f]{2})/g, (escaped, hex: string) => {
      const character = String.fromCharCode(Number.parseInt(hex, 16));
      return /[\w.~-]/.test(character) ? character : escaped;
    })
    .replace(/\/{2,}/g, '/');
  let result = '';
  while (rest !== '') {
    if (rest.startsWith('/./')) rest = rest.slice(2);
    else if (rest === '/.') rest = '/';
    else if (rest.startsWith('/../')) {
      rest = rest.slice(3);
      result = result.slice(0, Math.max(0, result.lastIndexOf('/')));
    } else if (rest === '/..') {
      rest = '/';
      result = result.slice(0, Math.max(0, result.lastIndexOf('/')));
    } else {
      const next = rest.indexOf('/', 1);
      result += next < 0 ? rest : rest.slice(0, next);
      rest = next < 0 ? '' : rest.slice(next);
    }
  }
  return result === '' ? '/' : result;
}

const part = fc.constantFrom(
  ...[
    '/',
    '//',
    '.',
    '..',
    '/./',
    '/../',
    '%2e',
    '%2E',
    '%2f',
    '%2F',
    '%',
    '%4',
    '%41',
    '%00',
    '%25',
    '%252e',
    '%5c',
    '%e9',
  ],
  ...['a', 'b', '0', '-', '~', '_', ';', '=', '\\', '*', '+', '...', '.a'],
);
const path = fc.array(part, { maxLength: 12 }).map((parts) => `/${parts.join('')}`);

test('agrees with the algorithm of RFC 3986', () => {
  fc.assert(
    fc.property(path, (text) => {
      assert.equal(normalizePath(text), model(text));
    }),
    { numRuns: 5000 },
  );
});

test('changes nothing the second time', () => {
  fc.assert(
    fc.property(path, (text) => {
      const once = normalizePath(text);
      if (once !== undefined) assert.equal(normalizePath(once), once);
    }),
    { numRuns: 2000 },
  );
});

test('leaves no dot segment, doubled slash or escaped letter', () => {
  fc.assert(
    fc.property(path, (text) => {
      const normal = normalizePath(text);
      if (normal === undefined) return;
      assert.match(normal, /^\//);
      assert.doesNotMatch(
        normal,
        /\/\.{1,2}(\/|$)|\/\/|%(2[dDeE]|3\d|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE])/,
      );
    }),
    { numRuns: 2000 },
  );
});

test('keeps what is not its business', () => {
  assert.equal(normalizePath('/a%2Fb'), '/a%2Fb');
  assert.equal(normalizePath('/a%2fb'), '/a%2fb');
  assert.equal(normalizePath('/%25%32%65'), '/%252e');
  assert.equal(normalizePath('/..%2f..'), '/..%2f..');
  assert.equal(normalizePath(''), '/');
});
