import type { JsonSchema } from './sources.ts';

/** A JSON Schema's properties as a Markdown table, nested ones by their path, in the schema's order. */
export function attributeTable(schema: JsonSchema): string {
  const rows = [...rowsOf(schema, '')];
  const rules = alternatives(schema).map((rule) => `\n- ${rule}`);
  if (rows.length === 0) return 'It has no attributes of its own.\n';
  return [
    '| Attribute | Type | Default | What it is |',
    '| --- | --- | --- | --- |',
    ...rows,
    rules.length > 0 ? rules.join('') : '',
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

function* rowsOf(schema: JsonSchema, prefix: string): Generator<string> {
  const required = new Set(listOf(schema.required));
  for (const [name, property] of Object.entries(schemasOf(schema.properties))) {
    const place = `${prefix}${name}`;
    yield row(place, property, required.has(name));
    yield* nestedRows(property, place);
  }
}

function* nestedRows(schema: JsonSchema, place: string): Generator<string> {
  if (schema.properties !== undefined) yield* rowsOf(schema, `${place}.`);
  for (const values of dictionariesOf(schema)) {
    if (values.properties !== undefined) yield* rowsOf(values, `${place}.*.`);
  }
  if (isSchema(schema.items)) yield* nestedRows(schema.items, `${place}[]`);
  for (const choice of choicesOf(schema)) yield* nestedRows(choice, place);
}

function row(place: string, schema: JsonSchema, isRequired: boolean): string {
  const value = 'default' in schema ? code(schema.default) : isRequired ? '**required**' : '';
  const words = [
    sentence(schema.description),
    limitsOf(schema),
    schema.secret === true ? 'Kept secret.' : '',
  ];
  const text = words.filter((word) => word !== '').join(' ');
  return `| \`${place}\` | ${cell(typeOf(schema))} | ${cell(value)} | ${cell(text)} |`;
}

/** Descriptions that follow APISIX's schemas are fragments: `seconds`. */
function sentence(text: unknown): string {
  if (typeof text !== 'string' || text === '') return '';
  const capital = text[0].toUpperCase() + text.slice(1);
  return /[.!?:;)`]$/.test(capital) ? capital : `${capital}.`;
}

/** The type in words: `integer`, `array of string`, `"a"` or `"b"`. */
export function typeOf(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => code(value)).join(', ');
  const choices = choicesOf(schema).filter((choice) => typeOf(choice) !== 'any');
  if (choices.length > 0) return [...new Set(choices.map(typeOf))].join(' or ');
  if (schema.type === 'array') return isSchema(schema.items) ? `array of ${typeOf(schema.items)}` : 'array';
  const [values] = dictionariesOf(schema);
  if (values !== undefined && schema.properties === undefined) return `object of ${typeOf(values)}`;
  return listOf(schema.type).join(' or ') || 'any';
}

/** What a value must keep to, in words. */
function limitsOf(schema: JsonSchema): string {
  const limits: string[] = [];
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, minLength, maxLength, minItems, maxItems } =
    schema;
  if (minimum !== undefined && maximum !== undefined) limits.push(`From ${minimum} to ${maximum}.`);
  else if (minimum !== undefined) limits.push(`At least ${minimum}.`);
  else if (maximum !== undefined) limits.push(`At most ${maximum}.`);
  if (exclusiveMinimum !== undefined) limits.push(`Above ${exclusiveMinimum}.`);
  if (exclusiveMaximum !== undefined) limits.push(`Below ${exclusiveMaximum}.`);
  if (typeof minLength === 'number' && minLength > 1) limits.push(`At least ${minLength} characters.`);
  if (minLength === 1) limits.push('Not empty.');
  if (maxLength !== undefined) limits.push(`At most ${maxLength} characters.`);
  if (minItems !== undefined) limits.push(`At least ${minItems} ${minItems === 1 ? 'item' : 'items'}.`);
  if (maxItems !== undefined) limits.push(`At most ${maxItems} items.`);
  if (schema.pattern !== undefined) limits.push(`Matches ${code(schema.pattern)}.`);
  return limits.join(' ');
}

/** Rules between properties, such as "exactly one of `uri` and `uris`". */
function alternatives(schema: JsonSchema): string[] {
  const rules: string[] = [];
  for (const [keyword, words] of [
    ['oneOf', 'Exactly one of'],
    ['anyOf', 'At least one of'],
  ] as const) {
    const choices = schema[keyword];
    if (!Array.isArray(choices)) continue;
    const groups = choices.map((choice: JsonSchema) => listOf(choice.required));
    if (groups.every((names) => names.length > 0)) {
      const texts = groups.map((names) => names.map((name) => `\`${name}\``).join(' with '));
      rules.push(`${words}: ${texts.join('; ')}.`);
    }
  }
  for (const part of Array.isArray(schema.allOf) ? schema.allOf : []) rules.push(...alternatives(part));
  return rules;
}

function choicesOf(schema: JsonSchema): JsonSchema[] {
  const choices = schema.oneOf ?? schema.anyOf;
  return Array.isArray(choices) ? choices.filter(isSchema) : [];
}

/** The schemas of a dictionary's values. */
function dictionariesOf(schema: JsonSchema): JsonSchema[] {
  const patterns = Object.values(schemasOf(schema.patternProperties));
  return isSchema(schema.additionalProperties) ? [...patterns, schema.additionalProperties] : patterns;
}

function schemasOf(value: unknown): Record<string, JsonSchema> {
  return isSchema(value) ? (value as Record<string, JsonSchema>) : {};
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function code(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (text === '') return '`""`';
  const fence = text.includes('`') ? '``' : '`';
  return `${fence}${text}${fence}`;
}

/** A table's cell is one line, and a bar in it would end it. */
function cell(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ').replaceAll('|', '\\|');
}
