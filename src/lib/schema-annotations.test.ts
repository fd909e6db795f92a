import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Schema, Type } from './schema.ts';
import { annotations, replaceTextAt, visitAt } from './schema-annotations.ts';

const schema: Schema = {
  type: 'object',
  properties: {
    secret: Type.String(),
    password: Type.String({ secret: true }),
    list: Type.Array(Type.Object({ key: Type.String({ secret: true }) })),
    keys: Type.Array(Type.String({ secret: true })),
    all: Type.Unsafe({ type: 'object', secret: true }),
    free: {
      type: 'object',
      properties: { open: Type.String() },
      additionalProperties: { type: 'string', secret: true },
    },
  },
  // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's keyword.
  then: { properties: { later: Type.String({ secret: true }) } },
  oneOf: [{ properties: { password: Type.String({ secret: true }) } }],
};

test('finds every marked place once, through properties, items, dictionaries and branches', () => {
  assert.deepEqual(
    annotations(schema, 'secret').map(({ name }) => name),
    ['password', 'list.*.key', 'keys.*', 'all', 'free.*', 'later'],
  );
  assert.deepEqual(annotations(schema, 'references'), []);
});

test('replaces texts at marked places only, and leaves what was given as it was', () => {
  const value = {
    secret: 'a property of that name',
    password: 'p',
    list: [{ key: 'k', other: 'o' }, {}],
    keys: ['x', 1],
    all: { deep: ['d'] },
    free: { open: 'o', closed: 'c' },
    later: 'l',
  };
  const before = structuredClone(value);
  let result: unknown = value;
  for (const place of annotations(schema, 'secret'))
    result = replaceTextAt(result, place, (text) => `${text}!`);
  assert.deepEqual(result, {
    secret: 'a property of that name',
    password: 'p!',
    list: [{ key: 'k!', other: 'o' }, {}],
    keys: ['x!', 1],
    all: { deep: ['d!'] },
    free: { open: 'o', closed: 'c!' },
    later: 'l!',
  });
  assert.deepEqual(value, before);
  assert.equal(
    replaceTextAt(value, annotations(schema, 'secret')[0], (text) => text),
    value,
  );
});

test('visits values with the way to them', () => {
  const found: unknown[] = [];
  const place = annotations(schema, 'secret')[1];
  visitAt({ list: [{}, { key: 'k' }] }, place, (value, path) => found.push([value, path]));
  assert.deepEqual(found, [['k', ['list', 1, 'key']]]);
});
