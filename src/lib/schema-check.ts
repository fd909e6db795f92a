// What the parts of the JSON Schema validator share: a compiled check, and why it fails.

/** Why a value does not match. Changed on its way out, as each level adds what it knows. */
export interface Failure {
  message: string;
  path: (string | number)[];
  /** What would be right, for people; `message` keeps the words that APISIX's clients know. */
  readonly hint?: string;
}
/** A compiled schema, or a part of one. */
export type Check = (value: unknown) => Failure | undefined;
export type SchemaObject = Readonly<Record<string, unknown>>;

export function failure(message: string, hint?: string): Failure {
  return hint === undefined ? { message, path: [] } : { message, path: [], hint };
}

/** The message with what would be right. */
export function withHint({
  message,
  hint,
}: {
  readonly message: string;
  readonly hint?: string | undefined;
}): string {
  return hint === undefined ? message : `${message}, ${hint}`;
}

/** Puts a failure inside one place further out. */
export function inside(inner: Failure, prefix: string, step: string | number): Failure {
  inner.message = prefix + inner.message;
  inner.path.unshift(step);
  return inner;
}

/** The name of a value's type as Lua has it: messages say `table` and `userdata` (for null). */
export function luaType(value: unknown): string {
  if (value === null) return 'userdata';
  if (value === undefined) return 'nil';
  return typeof value === 'object' ? 'table' : typeof value;
}

/** Lua's `%q`. */
export function luaQuoted(text: string): string {
  return `"${text
    .replace(/["\\\n]/g, '\\$&')
    .replaceAll('\r', '\\r')
    .replaceAll('\0', '\\000')}"`;
}
