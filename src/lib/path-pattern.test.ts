import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captures, compileCaptures } from './path-pattern.ts';

test('parameters take one segment each, a named star takes the rest', () => {
  const cases: [pattern: string, path: string, expected: Record<string, string> | undefined][] = [
    ['/users/:id', '/users/5', { id: '5' }],
    ['/users/:id', '/users/', undefined],
    ['/users/:id', '/users/5/', undefined],
    ['/users/:id/orders/:order', '/users/5/orders/6', { id: '5', order: '6' }],
    ['/users/:id/orders/:order', '/users/5/bills/6', undefined],
    ['/files/*path', '/files/a/b', { path: 'a/b' }],
    ['/files/*path', '/files/', { path: '' }],
    ['/files/*path', '/files', undefined],
    ['/:tenant/files*rest', '/acme/files.zip', { tenant: 'acme', rest: '.zip' }],
    ['/:tenant*', '/acme/x', { tenant: 'acme' }],
    ['/a/*', '/a/b', {}],
    ['/a:b', '/a:b', {}],
    ['/a/*/:b', '/a/*/c', { b: 'c' }],
    ['/:__proto__', '/x', Object.fromEntries([['__proto__', 'x']])],
  ];
  for (const [pattern, path, expected] of cases) {
    const actual = captures(pattern, path);
    assert.deepEqual(
      actual && Object.entries(actual),
      expected && Object.entries(expected),
      `${pattern} ${path}`,
    );
  }
});

test('a pattern that names nothing needs no function', () => {
  assert.equal(compileCaptures('/a/*'), undefined);
  assert.equal(compileCaptures('/a'), undefined);
  assert.equal(compileCaptures('/a/:b')?.('/a/c')?.b, 'c');
});
