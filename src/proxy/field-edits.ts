import { nameHash } from '../http/characters.ts';
import type { Head } from '../http/head.ts';
import { Known, knownNumber } from '../http/known-header.ts';
import { output } from '../http/output.ts';

/** What is known of a field name, found out once. */
interface FieldName {
  readonly lower: string;
  readonly hash: number;
  readonly known: number;
}

interface Edit extends FieldName {
  readonly name: string;
  /** undefined removes. */
  readonly value: string | undefined;
  /** Keeps the fields of that name that are there. */
  readonly adds: boolean;
}

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Fields that say how a message is framed or how the connection is used: only the engine writes them. */
const ENGINE = new Uint8Array(64);
for (const known of [
  Known.Connection,
  Known.ContentLength,
  Known.TransferEncoding,
  Known.Host,
  Known.Expect,
  Known.Upgrade,
  Known.KeepAlive,
  Known.ProxyConnection,
]) {
  ENGINE[known] = 1;
}

/** Changes to the fields of a head, kept apart from its bytes until it is written. */
export class FieldEdits {
  #edits: Edit[] = [];
  /** The Content-Type of a Reply that names none. */
  defaultType = '';

  get empty(): boolean {
    return this.#edits.length === 0;
  }

  clear(): void {
    this.#edits.length = 0;
  }

  set(name: string, value: string): void {
    this.#drop(fieldName(name).lower);
    this.#push(name, value, false);
  }

  add(name: string, value: string): void {
    this.#push(name, value, true);
  }

  remove(name: string): void {
    this.#drop(name.toLowerCase());
    this.#push(name, undefined, false);
  }

  /** Adds fields as if they had been there before all edits. */
  addBefore(fields: readonly (readonly [name: string, value: string])[]): void {
    const later = this.#edits;
    this.#edits = [];
    for (const [name, value] of fields) this.#push(name, value, true);
    for (const edit of later) {
      if (!edit.adds) this.#drop(edit.lower);
      this.#edits.push(edit);
    }
  }

  /** The first value of that name (lower case) as it will be sent. */
  get(head: Head, name: string): string | undefined {
    if (this.#edits.length > 0) {
      const replaced = this.#edits.some((edit) => edit.lower === name && !edit.adds);
      if (replaced) return this.#edits.find((edit) => edit.lower === name && edit.value !== undefined)?.value;
    }
    const index = head.find(name);
    if (index >= 0) return head.valueAt(index);
    return this.#edits.length === 0 ? undefined : this.#edits.find((edit) => edit.lower === name)?.value;
  }

  /** The first value given to that name (lower case), whatever the head says. */
  added(name: string): string | undefined {
    return this.#edits.find((edit) => edit.lower === name && edit.value !== undefined)?.value;
  }

  /** All values of that name (lower case) as they will be sent. */
  values(head: Head, name: string): string[] {
    const values: string[] = [];
    if (!this.#edits.some((edit) => edit.lower === name && !edit.adds)) {
      for (let i = head.find(name); i >= 0; i = head.find(name, i + 1)) values.push(head.valueAt(i));
    }
    for (const edit of this.#edits)
      if (edit.lower === name && edit.value !== undefined) values.push(edit.value);
    return values;
  }

  /** Every field as it will be sent. */
  entries(head: Head): [name: string, value: string][] {
    const entries: [string, string][] = [];
    for (let i = 0; i < head.count; i++) {
      if (!this.replaces(head, i)) entries.push([head.nameAt(i), head.valueAt(i)]);
    }
    for (const { name, value } of this.#edits) if (value !== undefined) entries.push([name, value]);
    return entries;
  }

  /** Whether the head's field at `index` is replaced or removed. */
  replaces(head: Head, index: number): boolean {
    const hash = head.nameHash[index];
    for (const edit of this.#edits) {
      if (edit.hash === hash && !edit.adds && head.isNamed(index, edit.lower)) return true;
    }
    return false;
  }

  /** Whether fields of that name (lower case) were replaced, added or removed. */
  has(name: string): boolean {
    for (const edit of this.#edits) if (edit.lower === name) return true;
    return false;
  }

  /** Puts the new fields into the output, apart from those that the engine writes itself. */
  write(): void {
    for (const { name, known, value } of this.#edits) {
      if (value === undefined || ENGINE[known] === 1) continue;
      output.putText(name);
      output.putText(': ');
      // Beyond latin1 a value goes out as UTF-8, as every other server does it.
      if (isLatin1(value)) output.putText(value);
      else output.putAll(Buffer.from(value, 'utf8'));
      output.putText('\r\n');
    }
  }

  #push(name: string, value: string | undefined, adds: boolean): void {
    const { lower, hash, known } = fieldName(name);
    if (value !== undefined && !isSafe(value))
      throw new TypeError(`the value of ${name} has a control character`);
    this.#edits.push({ name, lower, hash, known, value, adds });
  }

  #drop(lower: string): void {
    if (this.has(lower)) this.#edits = this.#edits.filter((edit) => edit.lower !== lower);
  }
}

/** Names that Plugins use are few, and the same ones come with every request. */
const NAMES = new Map<string, FieldName>();
const MAX_NAMES = 4096;

function fieldName(name: string): FieldName {
  let known = NAMES.get(name);
  if (known === undefined) {
    if (!FIELD_NAME.test(name)) throw new TypeError(`not a header field name: ${JSON.stringify(name)}`);
    const lower = name.toLowerCase();
    known = { lower, hash: nameHash(lower), known: knownNumber(lower) };
    if (NAMES.size >= MAX_NAMES) NAMES.clear();
    NAMES.set(name, known);
  }
  return known;
}

/** Whether a value has no byte that would end the field early or hide something. */
function isSafe(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 32 && code !== 9) || code === 127) return false;
  }
  return true;
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false;
  return true;
}
