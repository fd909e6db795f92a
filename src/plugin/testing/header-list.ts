import { isFieldName } from '../../lib/field-name.ts';

// No control characters but the tab (RFC 9110 5.5), and one byte for each char.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export type HeaderFields = Iterable<readonly [name: string, value: string]>;
/** Header fields as a test writes them: pairs, or an object with one value, several or none for each name. */
export type HeadersInput = HeaderFields | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Header fields in order, with names as given and looked up without regard to case. */
export class HeaderList {
  #fields: (readonly [name: string, value: string])[] = [];

  constructor(input: HeadersInput = []) {
    if (Symbol.iterator in input) {
      for (const [name, value] of input as HeaderFields) this.add(name, value);
    } else {
      for (const [name, values] of Object.entries(input)) {
        for (const value of typeof values === 'string' ? [values] : (values ?? [])) this.add(name, value);
      }
    }
  }

  header(name: string): string | undefined {
    requireLowerCase(name);
    return this.#fields.find(([other]) => other.toLowerCase() === name)?.[1];
  }

  headerValues(name: string): readonly string[] {
    requireLowerCase(name);
    return this.#fields.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
  }

  headers(): readonly (readonly [name: string, value: string])[] {
    return this.#fields;
  }

  setHeader(name: string, value: string): void {
    requireSendable(name, value);
    const lower = name.toLowerCase();
    const at = this.#fields.findIndex(([other]) => other.toLowerCase() === lower);
    if (at < 0) {
      this.#fields.push([name, value]);
      return;
    }
    this.#fields = this.#fields.filter(([other], index) => index === at || other.toLowerCase() !== lower);
    this.#fields[at] = [name, value];
  }

  addHeader(name: string, value: string): void {
    this.add(name, value);
  }

  removeHeader(name: string): void {
    const lower = name.toLowerCase();
    this.#fields = this.#fields.filter(([other]) => other.toLowerCase() !== lower);
  }

  /** By lower-case name, several values joined by `, `. */
  toRecord(): Record<string, string> {
    const record: Record<string, string> = {};
    for (const [name, value] of this.#fields) {
      const lower = name.toLowerCase();
      record[lower] = lower in record ? `${record[lower]}, ${value}` : value;
    }
    return record;
  }

  private add(name: string, value: string): void {
    requireSendable(name, value);
    this.#fields.push([name, value]);
  }
}

function requireLowerCase(name: string): void {
  if (name !== name.toLowerCase()) {
    throw new TypeError(`header() and headerValues() take a name in lower case, not '${name}'`);
  }
}

function requireSendable(name: string, value: string): void {
  if (!isFieldName(name)) throw new TypeError(`not a header name: ${JSON.stringify(name)}`);
  if (typeof value !== 'string' || !VALUE.test(value)) {
    throw new TypeError(`not a value that can be sent in header ${name}: ${JSON.stringify(value)}`);
  }
}
