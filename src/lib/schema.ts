// JSON Schema values that carry the TypeScript type of what they accept.
//
// A schema built here *is* the JSON Schema (draft 2020-12 subset, plus the keywords of APISIX's
// dialect) that the Admin API publishes, the validator checks and the docs are generated from.
// Why not TypeBox: docs/decisions/0002-own-schema-builder.md.

/** A JSON Schema whose accepted values have the type `T`. The type exists only for the compiler. */
export interface Schema<T = unknown> {
  readonly [keyword: string]: unknown;
  readonly '~type'?: T;
}

/** The TypeScript type of the values that a schema accepts, after defaults are filled in. */
export type Static<S> = S extends Schema<infer T> ? T : never;

/** What every schema may say about itself besides its shape. */
export interface Annotations {
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  /** The value is a secret: encrypted at rest, redacted in answers, logs and diffs. */
  readonly secret?: boolean;
}

interface OptionalMark {
  readonly '~optional': true;
}
type Properties = Readonly<Record<string, Schema>>;
type Simplify<T> = { [K in keyof T]: T[K] } & {};
type ObjectType<P extends Properties> = Simplify<
  { readonly [K in keyof P as P[K] extends OptionalMark ? never : K]: Static<P[K]> } & {
    readonly [K in keyof P as P[K] extends OptionalMark ? K : never]?: Static<P[K]>;
  }
>;

/** A property that may be absent. One with a `default` is never absent after validation: don't mark it. */
function optional<T>(schema: Schema<T>): Schema<T> & OptionalMark {
  return Object.defineProperty({ ...schema }, '~optional', { value: true }) as Schema<T> & OptionalMark;
}

/** An object. Properties not marked optional, and without a default, are required. */
function object<P extends Properties>(
  properties: P,
  options: Annotations & Readonly<Record<string, unknown>> = {},
): Schema<ObjectType<P>> {
  const required = Object.keys(properties).filter(
    (name) => !('~optional' in properties[name]) && !('default' in properties[name]),
  );
  return { type: 'object', properties, ...(required.length > 0 && { required }), ...options };
}

interface NumberOptions extends Annotations {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}
interface StringOptions extends Annotations {
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}
interface ArrayOptions extends Annotations {
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
}

/** The builders, used as `Type.Object({ count: Type.Integer({ minimum: 1 }) })`. */
export const Type = {
  Object: object,
  Optional: optional,
  String: (options: StringOptions = {}): Schema<string> => ({ type: 'string', ...options }),
  Number: (options: NumberOptions = {}): Schema<number> => ({ type: 'number', ...options }),
  Integer: (options: NumberOptions = {}): Schema<number> => ({ type: 'integer', ...options }),
  Boolean: (options: Annotations = {}): Schema<boolean> => ({ type: 'boolean', ...options }),
  Array: <T>(items: Schema<T>, options: ArrayOptions = {}): Schema<readonly T[]> => ({
    type: 'array',
    items,
    ...options,
  }),
  /** An object used as a dictionary: any key, one kind of value. */
  Record: <T>(
    values: Schema<T>,
    options: Annotations & Readonly<Record<string, unknown>> = {},
  ): Schema<Readonly<Record<string, T>>> => ({
    type: 'object',
    additionalProperties: values,
    ...options,
  }),
  Enum: <const V extends readonly (string | number)[]>(
    values: V,
    options: Annotations = {},
  ): Schema<V[number]> => ({
    ...(values.every((value) => typeof value === 'string') && { type: 'string' }),
    enum: values,
    ...options,
  }),
  Literal: <const V extends string | number | boolean>(value: V, options: Annotations = {}): Schema<V> => ({
    const: value,
    ...options,
  }),
  /** One of several; exactly one must match when `oneOf` is the keyword (the default, as APISIX does). */
  Union: <S extends readonly Schema[]>(
    schemas: S,
    options: Annotations & { readonly keyword?: 'oneOf' | 'anyOf' } = {},
  ): Schema<Static<S[number]>> => {
    const { keyword = 'oneOf', ...annotations } = options;
    return { [keyword]: schemas, ...annotations };
  },
  /** A hand-written JSON Schema whose type the caller vouches for. */
  Unsafe: <T>(schema: Readonly<Record<string, unknown>>): Schema<T> => schema as Schema<T>,
  Unknown: (options: Annotations = {}): Schema<unknown> => ({ ...options }),
};
