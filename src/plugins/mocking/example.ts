// Makes an example value for a JSON Schema, anew for each request: what the schema gives as
// `example`, and something random of its type where it gives none.

import type { Template, VariableSource } from '../../plugin/variable.ts';

/** The part of JSON Schema that examples are made from. */
export interface ExampleSchema {
  readonly type?: string;
  readonly example?: unknown;
  readonly items?: ExampleSchema;
  readonly properties?: Readonly<Record<string, ExampleSchema>>;
}

/** Makes one value; variables in example texts have the values of this Exchange. */
export type Example = (source: VariableSource) => unknown;

interface Means {
  /** In [0, 1). */
  random(): number;
  template(text: string): Template;
}

export function compileExample(schema: ExampleSchema, means: Means): Example {
  const { example } = schema;
  const between = (low: number, high: number) => low + Math.floor(means.random() * (high - low + 1));
  switch (schema.type?.toLowerCase() ?? impliedType(schema)) {
    case 'object':
      return compileObject(schema, means);
    case 'array': {
      if (schema.items === undefined) return () => [];
      const item = compileExample(schema.items, means);
      return (source) => Array.from({ length: between(1, 3) }, () => item(source));
    }
    case 'string':
      if (typeof example === 'string') return means.template(example);
      return () => String.fromCharCode(...Array.from({ length: between(1, 10) }, () => between(0x61, 0x7a)));
    case 'number':
      return typeof example === 'number' ? () => example : () => means.random() * 10000;
    case 'integer':
      if (typeof example === 'number') return () => Math.floor(example);
      return () => between(1, 10000);
    case 'boolean':
      return typeof example === 'boolean' ? () => example : () => means.random() >= 0.5;
    default:
      return () => null;
  }
}

function impliedType(schema: ExampleSchema): string | undefined {
  if (schema.properties !== undefined) return 'object';
  return schema.items === undefined ? undefined : 'array';
}

function compileObject(schema: ExampleSchema, means: Means): Example {
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, property]) => [name, compileExample(property, means)] as const,
  );
  // From entries, so that a property called __proto__ is a property like others.
  return (source) => Object.fromEntries(members.map(([name, example]) => [name, example(source)]));
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** An example as XML: an object's members as elements, an array's as elements of the same name. */
export function exampleToXml(value: unknown, name: string): string {
  if (Array.isArray(value)) return value.map((item) => exampleToXml(item, name)).join('');
  const content =
    typeof value === 'object' && value !== null
      ? Object.entries(value)
          .map(([member, inner]) => exampleToXml(inner, member))
          .join('')
      : String(value ?? '').replace(/[&<>"]/g, (character) => ESCAPES[character]);
  return `<${name}>${content}</${name}>`;
}
