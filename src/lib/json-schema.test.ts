import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validate, withDefaults } from './json-schema.ts';
import { Type } from './schema.ts';

const message = (schema: object, value: unknown) => validate(schema as never, value)?.message;

describe('validate', () => {
  const cases: [name: string, schema: object, value: unknown, expected: string | undefined][] = [
    [
      'a wrong type',
      { properties: { uri: { type: 'string' } } },
      { uri: 1 },
      'property "uri" validation failed: wrong type: expected string, got number',
    ],
    ['null as userdata', { type: 'string' }, null, 'wrong type: expected string, got userdata'],
    [
      'one of several types',
      { type: ['string', 'integer'] },
      1.5,
      'wrong type: expected one of string, integer, got number',
    ],
    ['a whole float as an integer', { type: 'integer' }, 2.0, undefined],
    ['an array where an object belongs', { type: 'object' }, [1], 'wrong type: expected object, got table'],
    ['an empty array as an object', { type: 'object' }, [], undefined],
    ['an empty object as an array', { type: 'array', minItems: 0 }, {}, undefined],
    [
      'an item outside the enum',
      { items: { enum: ['GET'] } },
      ['GET', 'X'],
      'failed to validate item 2: matches none of the enum values',
    ],
    [
      'an unknown property',
      { additionalProperties: false },
      { frobnicate: 1 },
      'additional properties forbidden, found frobnicate',
    ],
    [
      'a bad additional property',
      { additionalProperties: { type: 'integer' } },
      { a: 'x' },
      'failed to validate additional property a: wrong type: expected integer, got string',
    ],
    ['a missing property', { required: ['key'] }, {}, 'property "key" is required'],
    ['an inherited name as missing', { required: ['constructor'] }, {}, 'property "constructor" is required'],
    [
      'a pattern property',
      { patternProperties: { '^a': { type: 'string' } } },
      { ab: 1 },
      'failed to validate ab (matching "^a"): wrong type: expected string, got number',
    ],
    [
      'no oneOf branch',
      { allOf: [{ oneOf: [{ required: ['a'] }, { required: ['b'] }] }] },
      {},
      'allOf 1 failed: value should match only one schema, but matches none',
    ],
    [
      'two oneOf branches',
      { oneOf: [{ required: ['a'] }, { required: ['b'] }] },
      { a: 1, b: 1 },
      'value should match only one schema, but matches both schemas 1 and 2',
    ],
    [
      'no anyOf branch, with lists',
      { anyOf: [{ required: ['plugins', 'uri'] }, { required: ['uris'] }] },
      {},
      'object matches none of the required: ["plugins","uri"] or ["uris"]',
    ],
    ['no anyOf branch, without', { anyOf: [{ type: 'string' }] }, 1, 'object matches none of the required'],
    ['a string too short', { minLength: 1 }, '', 'string too short, expected at least 1, got 0'],
    [
      'a string too long, in code points',
      { maxLength: 1 },
      '😀😀',
      'string too long, expected at most 1, got 2',
    ],
    ['a pattern', { pattern: '^\\d"$' }, 'x\n', 'failed to match pattern "^\\\\d\\"$" with "x\\\n"'],
    ['a number too small', { minimum: 0 }, -1, 'expected -1 to be at least 0'],
    ['a number too great', { maximum: 5 }, 5.5, 'expected 5.5 to be at most 5'],
    ['a number not strictly greater', { exclusiveMinimum: 0 }, 0, 'expected 0 to be greater than 0'],
    ['a number not strictly smaller', { exclusiveMaximum: 1 }, 1, 'expected 1 to be smaller than 1'],
    ['no multiple', { multipleOf: 2 }, 3, 'expected 3 to be a multiple of 2'],
    ['too few items', { minItems: 1 }, [], 'expect array to have at least 1 items'],
    ['too many items', { maxItems: 1 }, [1, 2], 'expect array to have at most 1 items'],
    [
      'equal items',
      { uniqueItems: true },
      [{ a: 1 }, 2, { a: 1 }],
      'expected unique items but items 1 and 3 are equal',
    ],
    ['too few properties', { minProperties: 1 }, {}, 'expect object to have at least 1 properties'],
    [
      'too many properties',
      { maxProperties: 1 },
      { a: 1, b: 2 },
      'expect object to have at most 1 properties',
    ],
    ['a dependency', { dependencies: { a: ['b'] } }, { a: 1 }, 'property "b" is required when "a" is set'],
    [
      'a dependent schema',
      { dependencies: { a: { required: ['b'] } } },
      { a: 1 },
      'failed to validate dependent schema for "a": property "b" is required',
    ],
    ['not', { not: { required: ['a'] } }, { a: 1 }, "value wasn't supposed to match schema"],
    // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's keyword.
    ['then', { if: { required: ['a'] }, then: { required: ['b'] } }, { a: 1 }, 'then clause did not match'],
    ['else', { if: { required: ['a'] }, else: { required: ['b'] } }, {}, 'else clause did not match'],
    ['const', { const: { a: 1 } }, { a: 2 }, 'failed to check const value'],
    ['an IPv4 address', { format: 'ipv4' }, '256.0.0.1', 'expect valid ipv4 address but got: 256.0.0.1'],
    ['a good IPv6 address', { format: 'ipv6' }, '2001:db8::1', undefined],
    ['a bad IPv6 address', { format: 'ipv6' }, '1::2::3', 'expect valid ipv6 address but got: 1::2::3'],
    ['false', false as never, 1, 'expect false always'],
  ];
  for (const [name, schema, value, expected] of cases) {
    test(`says what the Lua library says of ${name}`, () => assert.equal(message(schema, value), expected));
  }

  test('gives the way to the offending value', () => {
    const schema = Type.Object({
      upstream: Type.Object({ nodes: Type.Array(Type.Object({ port: Type.Integer() })) }),
    });
    const error = validate(schema, { upstream: { nodes: [{ port: 1 }, { port: 'x' }] } });
    assert.deepEqual(error?.path, ['upstream', 'nodes', 1, 'port']);
  });

  test('never repeats a secret', () => {
    for (const [keywords, value] of [
      [{ pattern: '^a$' }, 'hunter2'],
      [{ type: 'number', minimum: 9_999_999 }, 1234567],
      [{ format: 'ipv4' }, 'hunter2'],
    ] as const) {
      const text = message({ properties: { key: { ...keywords, secret: true } } }, { key: value }) ?? '';
      assert.match(text, /^property "key" validation failed/);
      assert.ok(!text.includes(String(value)), text);
    }
  });

  test('changes nothing in what it validates', () => {
    const value = Object.freeze({ list: Object.freeze({}) });
    assert.equal(
      validate(Type.Object({ list: Type.Array(Type.String()), n: Type.Integer({ default: 1 }) }), value),
      undefined,
    );
    assert.deepEqual(value, { list: {} });
  });
});

describe('withDefaults', () => {
  test('fills in defaults at every depth, in a copy', () => {
    const schema = Type.Object({
      a: Type.Integer({ default: 0 }),
      list: Type.Array(Type.Object({ on: Type.Boolean({ default: false }) })),
      inner: Type.Optional(Type.Object({ b: Type.String({ default: 'x' }) })),
    });
    const sent = { list: [{}, { on: true }], inner: {} };
    assert.deepEqual(withDefaults(schema, sent), {
      a: 0,
      list: [{ on: false }, { on: true }],
      inner: { b: 'x' },
    });
    assert.deepEqual(sent, { list: [{}, { on: true }], inner: {} });
  });

  test('fills in the defaults of the branch that applies', () => {
    const schema = {
      type: 'object',
      properties: { policy: { type: 'string', default: 'local' } },
      if: { properties: { policy: { enum: ['redis'] } } },
      // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's keyword.
      then: { properties: { port: { type: 'integer', default: 6379 } } },
    };
    assert.deepEqual(withDefaults(schema, {}), { policy: 'local' });
    assert.deepEqual(withDefaults(schema, { policy: 'redis' }), { policy: 'redis', port: 6379 });
  });

  test('gives each value its own copy of a default', () => {
    const schema = Type.Object({ list: Type.Array(Type.Integer(), { default: [1] }) });
    assert.notEqual(withDefaults(schema, {}).list, withDefaults(schema, {}).list);
  });

  test('turns the empty array that stands for an object into one, and the other way round', () => {
    const schema = Type.Object({ plugins: Type.Record(Type.Unknown()), methods: Type.Array(Type.String()) });
    assert.deepEqual(withDefaults(schema, { plugins: [], methods: {} }), { plugins: {}, methods: [] });
  });

  test('treats a member named __proto__ as data', () => {
    const copy = withDefaults(Type.Record(Type.Unknown()), JSON.parse('{"__proto__":{"polluted":1}}'));
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
    assert.deepEqual(Object.keys(copy), ['__proto__']);
  });
});

test('a clause that did not match keeps APISIX’s words, and says to people what is wrong in it', () => {
  const schema = JSON.parse(`{
    "type": "object",
    "if": { "properties": { "policy": { "enum": ["a"] } } },
    "then": { "required": ["host"], "properties": { "kind": { "enum": ["x", "y"] } } },
    "else": { "if": { "properties": { "policy": { "enum": ["b"] } } }, "then": { "required": ["nodes"] } }
  }`);
  assert.deepEqual(validate(schema, { policy: 'a' }), {
    message: 'then clause did not match',
    path: [],
    hint: 'property "host" is required',
  });
  assert.deepEqual(validate(schema, { policy: 'a', host: 'h', kind: 'z' }), {
    message: 'then clause did not match',
    path: ['kind'],
    hint: 'property "kind" validation failed: matches none of the enum values, use one of "x", "y"',
  });
  assert.deepEqual(validate(schema, { policy: 'b' }), {
    message: 'else clause did not match',
    path: [],
    hint: 'property "nodes" is required',
  });
});
