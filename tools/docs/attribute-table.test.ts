import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '../../src/lib/schema.ts';
import { attributeTable, typeOf } from './attribute-table.ts';

function rows(schema: Parameters<typeof attributeTable>[0]): string[] {
  return attributeTable(schema).trimEnd().split('\n').slice(2);
}

test('shows type, default, limits and description of each property', () => {
  const schema = Type.Object({
    count: Type.Integer({ minimum: 1, description: 'Requests allowed.' }),
    policy: Type.Enum(['local', 'redis'], { default: 'local' }),
    password: Type.Optional(Type.String({ secret: true, minLength: 1, maxLength: 9 })),
  });
  assert.deepEqual(rows(schema), [
    '| `count` | integer | **required** | Requests allowed. At least 1. |',
    '| `policy` | `local`, `redis` | `local` |  |',
    '| `password` | string |  | Not empty. At most 9 characters. Kept secret. |',
  ]);
});

test('goes into objects, lists, dictionaries and alternatives', () => {
  const leaf = Type.Object({ leaf: Type.Optional(Type.Boolean()) });
  const schema = Type.Object({
    inner: Type.Optional(leaf),
    list: Type.Optional(Type.Array(leaf)),
    dictionary: Type.Optional(Type.Record(leaf)),
    either: Type.Optional(Type.Union([Type.Number(), leaf])),
  });
  assert.deepEqual(
    rows(schema).map((row) => row.split(' | ').slice(0, 2).join(' ')),
    [
      '| `inner` object',
      '| `inner.leaf` boolean',
      '| `list` array of object',
      '| `list[].leaf` boolean',
      '| `dictionary` object of object',
      '| `dictionary.*.leaf` boolean',
      '| `either` number or object',
      '| `either.leaf` boolean',
    ],
  );
});

test('a bar or a line break in a description does not break the table', () => {
  const schema = Type.Object({ a: Type.Optional(Type.String({ description: 'x | y\nz', pattern: 'a|b' })) });
  assert.deepEqual(rows(schema), ['| `a` | string |  | X \\| y z. Matches `a\\|b`. |']);
});

test('tells which properties exclude each other', () => {
  const schema = Type.Object(
    { uri: Type.Optional(Type.String()), uris: Type.Optional(Type.Array(Type.String())) },
    { allOf: [{ oneOf: [{ required: ['uri'] }, { required: ['uris'] }] }] },
  );
  assert.ok(attributeTable(schema).endsWith('\n\n- Exactly one of: `uri`; `uris`.\n'));
});

test('names a type in words', () => {
  assert.equal(typeOf(Type.Array(Type.Array(Type.String()))), 'array of array of string');
  assert.equal(typeOf(Type.Union([Type.String(), Type.Integer()])), 'string or integer');
  assert.equal(typeOf(Type.Literal(1)), '`1`');
  assert.equal(typeOf(Type.Unknown()), 'any');
});
