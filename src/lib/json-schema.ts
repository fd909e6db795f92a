// A JSON Schema validator whose error texts are those of api7's `jsonschema` library for Lua, which
// users of APISIX and their scripts know. It also shares that library's view of values: an empty
// array and an empty object are the same thing, and defaults are filled in while validating, so
// that a later check (`if`, `required` in `oneOf`) sees them.
//
// A schema is compiled to closures once; they run on a copy, so that nothing changes what was sent.

import { deepCopy, deepEqual, isObject, type JsonObject, setOwn } from './json.ts';
import { enumCheck, formatCheck, numberCheck, stringCheck } from './scalar-check.ts';
import type { Schema, Static } from './schema.ts';
import {
  type Check,
  type Failure,
  failure,
  inside,
  luaQuoted,
  luaType,
  type SchemaObject,
  withHint,
} from './schema-check.ts';

/** Why a value does not match: the message, and the way to the offending place inside the value. */
export interface SchemaError {
  readonly message: string;
  readonly path: readonly (string | number)[];
  /** What would be right, for people. */
  readonly hint?: string | undefined;
}

/** Says why `value` does not match `schema`, or undefined when it does. Nothing is changed. */
export function validate(schema: Schema, value: unknown): SchemaError | undefined {
  return compile(schema, false)(normalEmpty(schema, deepCopy(value)));
}

/**
 * A deep copy of `value` with the schema's defaults filled in. Meant for values that match; for
 * others it is unspecified which defaults are there.
 */
export function withDefaults<S extends Schema>(schema: S, value: unknown): Static<S> {
  const copy = normalEmpty(schema, deepCopy(value));
  compile(schema, false)(copy);
  return copy as Static<S>;
}

// A secret's text must not appear in a message, so its schemas compile to other closures.
const compiled = new WeakMap<object, Check>();
const compiledSecret = new WeakMap<object, Check>();

function compile(schema: unknown, insideSecret: boolean): Check {
  if (schema === true || schema === undefined) return () => undefined;
  if (schema === false) return () => failure('expect false always');
  if (!isObject(schema)) throw new TypeError('a JSON Schema must be an object or a boolean');
  const secret = insideSecret || schema.secret === true;
  const cache = secret ? compiledSecret : compiled;
  const known = cache.get(schema);
  if (known !== undefined) return known;
  const check = allOf(
    [typeCheck, objectCheck, arrayCheck, stringCheck, numberCheck, enumCheck, compoundCheck, formatCheck]
      .map((make) => make(schema, secret))
      .filter((made) => made !== undefined),
  );
  cache.set(schema, check);
  return check;
}

function allOf(checks: readonly Check[]): Check {
  if (checks.length === 1) return checks[0];
  return (value) => {
    for (const check of checks) {
      const failed = check(value);
      if (failed !== undefined) return failed;
    }
    return undefined;
  };
}

/** An empty array where the schema wants an object becomes one, and the other way round. */
function normalEmpty(schema: unknown, value: unknown): unknown {
  if (!isObject(schema) || typeof value !== 'object' || value === null) return value;
  if (schema.type === 'object' && Array.isArray(value) && value.length === 0) return {};
  if (schema.type === 'array' && !Array.isArray(value) && Object.keys(value).length === 0) return [];
  return value;
}

function normaliseIn(container: JsonObject | unknown[], key: string | number, schema: unknown): unknown {
  const holder = container as JsonObject;
  const value = holder[key];
  const normal = normalEmpty(schema, value);
  if (normal !== value) setOwn(holder, String(key), normal);
  return normal;
}

function hasType(type: unknown, value: unknown): boolean {
  switch (type) {
    case 'object':
      return isObject(value) || (Array.isArray(value) && value.length === 0);
    case 'array':
      return Array.isArray(value) || (isObject(value) && Object.keys(value).length === 0);
    case 'integer':
      return Number.isInteger(value);
    case 'null':
      return value === null;
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type;
    default:
      throw new TypeError(`invalid JSON type: ${String(type)}`);
  }
}

function typeCheck({ type }: SchemaObject): Check | undefined {
  if (type === undefined) return undefined;
  if (Array.isArray(type)) {
    const names = type.join(', ');
    return (value) =>
      type.some((one) => hasType(one, value))
        ? undefined
        : failure(`wrong type: expected one of ${names}, got ${luaType(value)}`);
  }
  return (value) =>
    hasType(type, value) ? undefined : failure(`wrong type: expected ${String(type)}, got ${luaType(value)}`);
}

function objectCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const checks = [
    propertiesCheck(schema, secret),
    requiredCheck(schema),
    dependenciesCheck(schema, secret),
    otherPropertiesCheck(schema, secret),
    countCheck(schema),
  ].filter((made) => made !== undefined);
  if (checks.length === 0) return undefined;
  return (value) => {
    if (!isObject(value) && !(Array.isArray(value) && value.length === 0)) return undefined;
    for (const check of checks) {
      const failed = check(value as JsonObject);
      if (failed !== undefined) return failed;
    }
    return undefined;
  };
}

type ObjectCheck = (object: JsonObject) => Failure | undefined;

function propertiesCheck(schema: SchemaObject, secret: boolean): ObjectCheck | undefined {
  if (!isObject(schema.properties)) return undefined;
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const properties = Object.entries(schema.properties).map(([name, property]) => ({
    name,
    property,
    check: compile(property, secret),
    required: required.has(name),
    fallback: isObject(property) ? property.default : undefined,
  }));
  return (object) => {
    for (const { name, property, check, required, fallback } of properties) {
      if (Object.hasOwn(object, name)) {
        const failed = check(normaliseIn(object, name, property));
        if (failed !== undefined) return inside(failed, `property "${name}" validation failed: `, name);
      } else if (required) {
        return failure(`property "${name}" is required`);
      } else if (fallback !== undefined && !Array.isArray(object)) {
        setOwn(object, name, deepCopy(fallback));
      }
    }
    return undefined;
  };
}

function requiredCheck({ required, properties }: SchemaObject): ObjectCheck | undefined {
  if (!Array.isArray(required)) return undefined;
  const rest = required.filter((name) => !(isObject(properties) && Object.hasOwn(properties, name)));
  if (rest.length === 0) return undefined;
  return (object) => {
    const missing = rest.find((name) => !Object.hasOwn(object, name));
    return missing === undefined ? undefined : failure(`property "${missing}" is required`);
  };
}

function dependenciesCheck({ dependencies }: SchemaObject, secret: boolean): ObjectCheck | undefined {
  if (!isObject(dependencies)) return undefined;
  const all = Object.entries(dependencies).map(([name, dependency]) =>
    Array.isArray(dependency)
      ? { name, needs: dependency as readonly string[], check: undefined }
      : { name, needs: [], check: compile(dependency, secret) },
  );
  return (object) => {
    for (const { name, needs, check } of all) {
      if (!Object.hasOwn(object, name)) continue;
      const missing = needs.find((need) => !Object.hasOwn(object, need));
      if (missing !== undefined) return failure(`property "${missing}" is required when "${name}" is set`);
      const failed = check?.(object);
      if (failed !== undefined) {
        failed.message = `failed to validate dependent schema for "${name}": ${failed.message}`;
        return failed;
      }
    }
    return undefined;
  };
}

/** patternProperties and additionalProperties, in one walk. */
function otherPropertiesCheck(schema: SchemaObject, secret: boolean): ObjectCheck | undefined {
  const { additionalProperties: additional, patternProperties } = schema;
  const restricted = additional !== undefined && additional !== true;
  if (!restricted && !isObject(patternProperties)) return undefined;
  const named = new Set(isObject(schema.properties) ? Object.keys(schema.properties) : []);
  const patterns = Object.entries(isObject(patternProperties) ? patternProperties : {}).map(
    ([pattern, one]) => ({ pattern, regExp: new RegExp(pattern), schema: one, check: compile(one, secret) }),
  );
  const rest = isObject(additional) ? compile(additional, secret) : undefined;
  return (object) => {
    for (const name of Object.keys(object)) {
      let matched = false;
      for (const { pattern, regExp, schema, check } of patterns) {
        if (!regExp.test(name)) continue;
        matched = true;
        const failed = check(normaliseIn(object, name, schema));
        if (failed !== undefined) {
          return inside(failed, `failed to validate ${name} (matching ${luaQuoted(pattern)}): `, name);
        }
      }
      if (!restricted || matched || named.has(name)) continue;
      if (rest === undefined) {
        return { message: `additional properties forbidden, found ${name}`, path: [name] };
      }
      const failed = rest(normaliseIn(object, name, additional));
      if (failed !== undefined)
        return inside(failed, `failed to validate additional property ${name}: `, name);
    }
    return undefined;
  };
}

function countCheck({ minProperties, maxProperties }: SchemaObject): ObjectCheck | undefined {
  if (minProperties === undefined && maxProperties === undefined) return undefined;
  const least = Number(minProperties ?? 0);
  const most = Number(maxProperties ?? Number.POSITIVE_INFINITY);
  return (object) => {
    const count = Object.keys(object).length;
    if (count < least) return failure(`expect object to have at least ${least} properties`);
    if (count > most) return failure(`expect object to have at most ${most} properties`);
    return undefined;
  };
}

function arrayCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const { items, minItems, maxItems, uniqueItems } = schema;
  if (items === undefined && minItems === undefined && maxItems === undefined && !uniqueItems) {
    return undefined;
  }
  const least = Number(minItems ?? 0);
  const most = Number(maxItems ?? Number.POSITIVE_INFINITY);
  const checkItem = items === undefined ? undefined : compile(items, secret);
  return (value) => {
    const array = normalEmpty({ type: 'array' }, value);
    if (!Array.isArray(array)) return undefined;
    if (array.length < least) return failure(`expect array to have at least ${least} items`);
    if (array.length > most) return failure(`expect array to have at most ${most} items`);
    if (checkItem !== undefined) {
      for (let index = 0; index < array.length; index++) {
        const failed = checkItem(normaliseIn(array, index, items));
        if (failed !== undefined) return inside(failed, `failed to validate item ${index + 1}: `, index);
      }
    }
    return uniqueItems ? uniqueFailure(array) : undefined;
  };
}

function uniqueFailure(array: readonly unknown[]): Failure | undefined {
  const seen = new Map<unknown, number>();
  const compound: number[] = [];
  for (let index = 0; index < array.length; index++) {
    const item = array[index];
    let twin = seen.get(item);
    if (twin === undefined && typeof item === 'object' && item !== null) {
      twin = compound.find((other) => deepEqual(array[other], item));
      compound.push(index);
    }
    if (twin !== undefined) {
      return {
        message: `expected unique items but items ${twin + 1} and ${index + 1} are equal`,
        path: [index],
      };
    }
    seen.set(item, index);
  }
  return undefined;
}

function compoundCheck(schema: SchemaObject, secret: boolean): Check | undefined {
  const checks: Check[] = [];
  const list = (keyword: string) =>
    Array.isArray(schema[keyword]) ? (schema[keyword] as unknown[]) : undefined;
  const branches = (keyword: string) => list(keyword)?.map((one) => compile(one, secret));

  branches('allOf')?.forEach((check, index) => {
    checks.push((value) => {
      const failed = check(value);
      if (failed !== undefined) failed.message = `allOf ${index + 1} failed: ${failed.message}`;
      return failed;
    });
  });
  const any = branches('anyOf');
  if (any !== undefined) {
    const required = (list('anyOf') ?? [])
      .filter((one) => isObject(one) && one.required !== undefined)
      .map((one) => JSON.stringify((one as JsonObject).required));
    const text = `object matches none of the required${required.length > 0 ? `: ${required.join(' or ')}` : ''}`;
    checks.push((value) => (any.some((check) => check(value) === undefined) ? undefined : failure(text)));
  }
  const one = branches('oneOf');
  if (one !== undefined) checks.push((value) => oneOfFailure(one, value));
  if (schema.if !== undefined) checks.push(conditional(schema, secret));
  if (schema.not !== undefined) {
    const not = compile(schema.not, secret);
    checks.push((value) =>
      not(value) === undefined ? failure("value wasn't supposed to match schema") : undefined,
    );
  }
  return checks.length === 0 ? undefined : allOf(checks);
}

function oneOfFailure(branches: readonly Check[], value: unknown): Failure | undefined {
  let matched = -1;
  for (let index = 0; index < branches.length; index++) {
    if (branches[index](value) !== undefined) continue;
    if (matched !== -1) {
      return failure(
        `value should match only one schema, but matches both schemas ${matched + 1} and ${index + 1}`,
      );
    }
    matched = index;
  }
  return matched === -1 ? failure('value should match only one schema, but matches none') : undefined;
}

function conditional(schema: SchemaObject, secret: boolean): Check {
  const [condition, then, otherwise] = [schema.if, schema.then, schema.else].map((one) =>
    compile(one, secret),
  );
  return (value) => {
    if (condition(value) === undefined) {
      return clauseFailure('then', then(value));
    }
    return clauseFailure('else', otherwise(value));
  };
}

/** The message says only which clause; what is wrong in it is for people. */
function clauseFailure(clause: 'then' | 'else', failed: Failure | undefined): Failure | undefined {
  if (failed === undefined) return undefined;
  const message = `${clause} clause did not match`;
  const isClause = failed.message.endsWith(' clause did not match');
  return { message, path: failed.path, hint: isClause ? failed.hint : withHint(failed) };
}
