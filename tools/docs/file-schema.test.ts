import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '../../src/lib/schema.ts';
import { fileSchema } from './file-schema.ts';

const schema = fileSchema({
  plugins: [
    {
      name: 'key-auth',
      summary: 'Knows callers by a key.',
      priority: 2500,
      config: Type.Object({ header: Type.String({ default: 'apikey' }) }, { additionalProperties: false }),
      credential: { config: Type.Object({ key: Type.String() }) },
      folder: 'key-auth',
      phases: ['rewrite'],
    },
  ],
  resources: [
    {
      kind: 'routes',
      noun: 'route',
      summary: 'Which requests.',
      schema: Type.Object({
        uri: Type.String(),
        plugins: Type.Optional(Type.Unknown()),
        create_time: Type.Optional(Type.Integer()),
      }),
      unsupported: [],
      plugins: 'bindings',
    },
    {
      kind: 'consumers',
      noun: 'consumer',
      summary: 'Someone.',
      schema: Type.Object({ username: Type.String(), plugins: Type.Optional(Type.Unknown()) }),
      unsupported: [],
      plugins: 'consumer',
    },
  ],
  settings: Type.Object({ listeners: Type.Array(Type.String()) }),
});

/** Follows a path of keys through nested objects. */
function at(...keys: string[]): unknown {
  return keys.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], schema);
}

test('has a list for each kind of resource beside the settings', () => {
  assert.deepEqual(Object.keys(at('properties') as object), ['listeners', 'routes', 'consumers']);
  assert.deepEqual(at('properties', 'routes', 'items', 'required'), ['uri', 'id']);
  assert.deepEqual(at('properties', 'consumers', 'items', 'required'), ['username']);
});

test('leaves out what the Store sets', () => {
  const route = at('properties', 'routes', 'items', 'properties');
  assert.deepEqual(Object.keys(route as object), ['uri', 'plugins']);
});

test("knows each plugin's config where it may stand", () => {
  assert.deepEqual(at('properties', 'routes', 'items', 'properties', 'plugins'), {
    $ref: '#/definitions/bindings',
  });
  const binding = at('definitions', 'bindings', 'properties', 'key-auth', 'properties');
  assert.deepEqual(Object.keys(binding as object), ['header', '_meta']);
  const credential = at('definitions', 'credential', 'properties', 'key-auth', 'properties');
  assert.deepEqual(Object.keys(credential as object), ['key', '_meta']);
  assert.deepEqual(at('definitions', 'consumer', 'properties', 'key-auth', 'anyOf'), [
    { $ref: '#/definitions/credential/properties/key-auth' },
    { $ref: '#/definitions/bindings/properties/key-auth' },
  ]);
});
