import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '../../src/lib/schema.ts';
import { configShapes } from './config-shapes.ts';

/** The interface of the settings, for one with this field. */
function fieldOf(field: Readonly<Record<string, unknown>>, name = 'field'): string {
  const text = configShapes({ plugins: [], resources: [], settings: Type.Object({ [name]: field }) });
  return /export interface SettingsShape \{\n([\s\S]+?)\n\}/.exec(text)?.[1] ?? '';
}

test('what has a default, or is not required, may be left out', () => {
  assert.equal(fieldOf(Type.String()), '  readonly field: string;');
  assert.equal(fieldOf(Type.Optional(Type.String())), '  readonly field?: string;');
  assert.equal(fieldOf(Type.Integer({ default: 3 })), '  /** Default: `3`. */\n  readonly field?: number;');
});

test('descriptions become comments, which they cannot end', () => {
  assert.match(fieldOf(Type.Boolean({ description: 'Ends */ here.' })), /\/\*\* Ends \*\\\/ here\. \*\//);
});

test('every builder of schemas has its type', () => {
  const types: readonly (readonly [schema: Readonly<Record<string, unknown>>, type: string])[] = [
    [Type.Enum(['a', "b'"]), "'a' | 'b\\''"],
    [Type.Literal(true), 'true'],
    [Type.Array(Type.String()), 'readonly string[]'],
    [Type.Array(Type.Array(Type.Unknown())), 'readonly (readonly unknown[])[]'],
    [Type.Array(Type.Enum([1, 2])), 'readonly (1 | 2)[]'],
    [Type.Union([Type.String(), Type.Integer()]), 'string | number'],
    [Type.Record(Type.Number()), 'Readonly<Record<string, number>>'],
    [Type.Unknown(), 'unknown'],
    [{ type: ['string', 'null'] }, 'string | null'],
    [{ anyOf: [], references: 'upstreams' }, "R['upstreams']"],
    [Type.Array(Type.Object({ a: Type.String() })), 'readonly {\n    readonly a: string;\n  }[]'],
  ];
  for (const [schema, type] of types) assert.equal(fieldOf(schema), `  readonly field: ${type};`);
  assert.equal(fieldOf(Type.String(), 'a-b'), "  readonly 'a-b': string;");
});

test('fields that only some branches describe may be left out', () => {
  const schema = {
    ...Type.Object({ kind: Type.String() }),
    oneOf: [Type.Object({ host: Type.String() }), { required: ['kind'] }],
  };
  assert.equal(
    fieldOf(schema),
    '  readonly field: {\n    readonly kind: string;\n    readonly host?: string;\n  };',
  );
});

test('resources have no ids, and their Plugins are Bindings', () => {
  const text = configShapes({
    plugins: [],
    settings: undefined,
    resources: [
      {
        kind: 'plugin_configs',
        noun: 'plugin config',
        summary: 'Bindings.',
        schema: Type.Object({ id: Type.String(), plugins: Type.Unknown() }),
        unsupported: [],
        plugins: 'bindings',
      },
    ],
  });
  assert.match(
    text,
    /\/\*\* Bindings\. \*\/\nexport interface PluginConfigShape<R extends References = References> \{\n {2}readonly plugins: Bindings<R>;\n\}/,
  );
});
