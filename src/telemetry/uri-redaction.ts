// What of a request's target may stand in a log: everything but the values of query parameters that
// are known to carry secrets, and the credentials of an absolute-form target.

import { SECRET_NAMES } from '../model/secret-names.ts';
import { putEscaped } from './json-bytes.ts';

/** Parameters whose values are kept out of logs. Case, `-` and `_` make no difference. */
export const DEFAULT_REDACTED_PARAMETERS = SECRET_NAMES;

const LONGEST_NAME = 128;
const BYTE = {
  hash: 0x23,
  percent: 0x25,
  ampersand: 0x26,
  hyphen: 0x2d,
  slash: 0x2f,
  semicolon: 0x3b,
  equals: 0x3d,
  question: 0x3f,
  at: 0x40,
  bracket: 0x5b,
  closingBracket: 0x5d,
  underscore: 0x5f,
  star: 0x2a,
} as const;

export class UriRedaction {
  /** Names by a hash of their bytes. */
  readonly #names = new Map<number, Buffer[]>();
  /** The parameter's name as compared: decoded, lower case, without `-` and `_`. */
  readonly #name = new Uint8Array(LONGEST_NAME);

  constructor(names: readonly string[]) {
    for (const name of names) {
      const bytes = Buffer.from(name);
      const length = this.#readName(bytes, 0, bytes.length);
      if (length <= 0) continue;
      const hash = this.#hash(length);
      this.#names.set(hash, [...(this.#names.get(hash) ?? []), Buffer.from(this.#name.subarray(0, length))]);
    }
  }

  /** Puts a target, redacted and escaped, into `out`; at most six bytes for one of the target. */
  put(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
    let query = start;
    while (query < end && bytes[query] !== BYTE.question) query++;
    const position =
      bytes[start] === BYTE.slash
        ? putEscaped(out, at, bytes, start, query)
        : this.#putOrigin(out, at, bytes, start, query);
    return query === end ? position : this.#putQuery(out, position, bytes, query, end);
  }

  /** The part before the query of a target that is not in origin form: `http://user:password@host/path`. */
  #putOrigin(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
    let credentialsEnd = -1;
    let credentialsStart = start;
    let slashes = 0;
    for (let index = start; index < end && slashes < 3; index++) {
      if (bytes[index] === BYTE.at) credentialsEnd = index;
      else if (bytes[index] === BYTE.slash && ++slashes === 2) credentialsStart = index + 1;
    }
    if (credentialsEnd < 0) return putEscaped(out, at, bytes, start, end);
    // Without `//` there is no saying where credentials begin, so all before the @ goes.
    const position = putStars(out, putEscaped(out, at, bytes, start, credentialsStart));
    return putEscaped(out, position, bytes, credentialsEnd, end);
  }

  #putQuery(out: Uint8Array, at: number, bytes: Uint8Array, start: number, end: number): number {
    let position = at;
    let index = start;
    while (index < end) {
      // At a separator: `?`, `&` or `;`.
      let nameEnd = index + 1;
      while (nameEnd < end && bytes[nameEnd] !== BYTE.equals && !separates(bytes[nameEnd])) nameEnd++;
      if (nameEnd < end && bytes[nameEnd] === BYTE.equals && this.#isSecret(bytes, index + 1, nameEnd)) {
        position = putStars(out, putEscaped(out, position, bytes, index, nameEnd + 1));
        // To the next `&` and no other separator: to some, `;` is part of the value.
        index = nameEnd + 1;
        while (index < end && bytes[index] !== BYTE.ampersand) index++;
      } else {
        let next = nameEnd;
        while (next < end && !separates(bytes[next])) next++;
        position = putEscaped(out, position, bytes, index, next);
        index = next;
      }
    }
    return position;
  }

  #isSecret(bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#readName(bytes, start, end);
    if (length <= 0) return false;
    const candidates = this.#names.get(this.#hash(length));
    if (candidates === undefined) return false;
    return candidates.some((name) => name.length === length && this.#equals(name));
  }

  #equals(name: Uint8Array): boolean {
    for (let index = 0; index < name.length; index++) if (name[index] !== this.#name[index]) return false;
    return true;
  }

  /** The length of the normal form left in `#name`, or -1 for a name too long to be known. `user[password]` is `password`, `token[]` is `token`. */
  #readName(bytes: Uint8Array, start: number, end: number): number {
    let length = 0;
    let bracket = false;
    for (let index = start; index < end; index++) {
      let byte = bytes[index];
      if (byte === BYTE.percent && index + 2 < end) {
        const decoded = (hexValue(bytes[index + 1]) << 4) | hexValue(bytes[index + 2]);
        if (decoded >= 0) {
          byte = decoded;
          index += 2;
        }
      }
      if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
      if (byte === BYTE.hyphen || byte === BYTE.underscore || byte === BYTE.closingBracket) continue;
      if (byte === BYTE.bracket) {
        bracket = true;
        continue;
      }
      if (bracket) {
        length = 0;
        bracket = false;
      }
      if (length === LONGEST_NAME) return -1;
      this.#name[length++] = byte;
    }
    return length;
  }

  #hash(length: number): number {
    let hash = length;
    for (let index = 0; index < length; index++) hash = (Math.imul(hash, 31) + this.#name[index]) | 0;
    return hash;
  }
}

function separates(byte: number): boolean {
  return byte === BYTE.ampersand || byte === BYTE.semicolon || byte === BYTE.question || byte === BYTE.hash;
}

function putStars(out: Uint8Array, at: number): number {
  out[at] = BYTE.star;
  out[at + 1] = BYTE.star;
  out[at + 2] = BYTE.star;
  return at + 3;
}

/** Negative for what is no hexadecimal digit. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -256;
}
