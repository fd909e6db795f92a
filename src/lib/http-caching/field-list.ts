import type { Fields } from './freshness.ts';

export type Field = readonly [name: string, value: string];

/** Fields of a message as a list, in order and with names as they came. */
export class FieldList implements Fields {
  readonly list: readonly Field[];

  constructor(list: readonly Field[]) {
    this.list = list;
  }

  header(name: string): string | undefined {
    for (const [own, value] of this.list)
      if (own.length === name.length && own.toLowerCase() === name) return value;
    return undefined;
  }

  headerValues(name: string): readonly string[] {
    const values: string[] = [];
    for (const [own, value] of this.list)
      if (own.length === name.length && own.toLowerCase() === name) values.push(value);
    return values;
  }
}

/** Fields of one connection, or of the message's framing: never stored (RFC 9111 3.1). */
const NOT_STORED = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // Computed anew with each use.
  'age',
]);

/** Fields that belong to the stored body, and that a 304 therefore can't change (RFC 9111 3.2). */
const NOT_UPDATED = new Set(['content-encoding', 'content-range', 'content-type']);

/** The fields of a response that may be stored; `omitted` names more that may not, in lower case. */
export function storableFields(fields: FieldList, omitted: readonly string[]): Field[] {
  const named = new Set(omitted);
  for (const value of fields.headerValues('connection')) {
    for (const name of value.split(',')) named.add(name.trim().toLowerCase());
  }
  return fields.list.filter(([name]) => {
    const lower = name.toLowerCase();
    return !NOT_STORED.has(lower) && !named.has(lower);
  });
}

/** Stored fields with those of a 304, or of a 200 to HEAD, in the place of the old ones. */
export function updatedFields(stored: readonly Field[], received: readonly Field[]): Field[] {
  const fresh = received.filter(([name]) => !NOT_UPDATED.has(name.toLowerCase()));
  const replaced = new Set(fresh.map(([name]) => name.toLowerCase()));
  return [...stored.filter(([name]) => !replaced.has(name.toLowerCase())), ...fresh];
}
