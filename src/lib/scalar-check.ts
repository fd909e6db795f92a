// The keywords of JSON Schema that look at a single text, number or constant.

import { deepEqual } from './json.ts';
import { type Check, failure, luaQuoted, type SchemaObject } from './schema-check.ts';
import { FORMATS } from './text-format.ts';

export function stringCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const { minLength, maxLength, pattern } = schema;
  if (minLength === undefined && maxLength === undefined && pattern === undefined) return undefined;
  const least = Number(minLength ?? 0);
  const most = Number(maxLength ?? Number.POSITIVE_INFINITY);
  const regExp = pattern === undefined ? undefined : new RegExp(String(pattern));
  return (value) => {
    if (typeof value !== 'string') return undefined;
    const length = codePoints(value);
    if (length < least) return failure(`string too short, expected at least ${least}, got ${length}`);
    if (length > most) return failure(`string too long, expected at most ${most}, got ${length}`);
    if (regExp !== undefined && !regExp.test(value)) {
      const shown = secret ? '' : ` with ${luaQuoted(value)}`;
      return failure(`failed to match pattern ${luaQuoted(String(pattern))}${shown}`);
    }
    return undefined;
  };
}

function codePoints(text: string): number {
  let count = text.length;
  for (let index = 1; index < text.length; index++) {
    if ((text.charCodeAt(index) & 0xfc00) === 0xdc00 && (text.charCodeAt(index - 1) & 0xfc00) === 0xd800)
      count--;
  }
  return count;
}

export function numberCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const tests: ((value: number) => string | undefined)[] = [];
  const add = (keyword: string, holds: (value: number, bound: number) => boolean, text: string) => {
    const bound = schema[keyword];
    if (typeof bound !== 'number') return;
    tests.push((value) => (holds(value, bound) ? undefined : `${text} ${bound}`));
  };
  add('minimum', (value, bound) => value >= bound, 'at least');
  add('exclusiveMinimum', (value, bound) => value > bound, 'greater than');
  add('maximum', (value, bound) => value <= bound, 'at most');
  add('exclusiveMaximum', (value, bound) => value < bound, 'smaller than');
  add('multipleOf', (value, bound) => Number.isInteger(value / bound), 'a multiple of');
  if (tests.length === 0) return undefined;
  return (value) => {
    if (typeof value !== 'number') return undefined;
    for (const test of tests) {
      const broken = test(value);
      if (broken !== undefined)
        return failure(`expected ${secret ? 'value' : luaNumber(value)} to be ${broken}`);
    }
    return undefined;
  };
}

/** A number as Lua prints it (`%.14g`). */
function luaNumber(value: number): string {
  return Math.abs(value) >= 1e15
    ? value.toExponential().replace(/e\+(\d)$/, 'e+0$1')
    : String(Number(value.toPrecision(14)));
}

export function enumCheck({ enum: values }: SchemaObject): Check | undefined {
  if (!Array.isArray(values)) return undefined;
  const hint = `use one of ${values.map((one) => JSON.stringify(one)).join(', ')}`;
  return (value) =>
    values.some((one) => deepEqual(one, value))
      ? undefined
      : failure('matches none of the enum values', hint);
}

/** `format` (an unknown one asserts nothing) and `const`. */
export function formatCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const format = typeof schema.format === 'string' ? FORMATS[schema.format] : undefined;
  const hasConst = schema.const !== undefined;
  if (format === undefined && !hasConst) return undefined;
  return (value) => {
    if (format !== undefined && typeof value === 'string' && !format.matches(value)) {
      return failure(`expect valid ${format.name} address${secret ? '' : ` but got: ${value}`}`);
    }
    return hasConst && !deepEqual(schema.const, value) ? failure('failed to check const value') : undefined;
  };
}
