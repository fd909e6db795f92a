// Sets of characters inside the brackets of a pattern, as PCRE means them for bytes (no UTF mode).
//
// Everything is written in the syntax that V8 and RE2 share. What the two spell differently (`\v`,
// `\s`, `\h`, POSIX names) is written out as ranges.

/** The insides of brackets for the escapes that stand for several characters. */
export const ESCAPED_SETS: ReadonlyMap<string, string> = new Map([
  ['d', '0-9'],
  ['D', '\\x00-/:-\uffff'],
  ['w', '0-9A-Z_a-z'],
  ['W', '\\x00-/:-@\\[-\\^`{-\uffff'],
  // JavaScript counts U+00A0 and more as space, which would split UTF-8 bytes.
  ['s', '\\t-\\r '],
  ['S', '\\x00-\\x08\\x0e-\\x1f!-\uffff'],
  ['h', '\\t \\xa0'],
  ['H', '\\x00-\\x08\\n-\\x1f!-\\x9f\\xa1-\uffff'],
  ['v', '\\n-\\r\\x85'],
  ['V', '\\x00-\\t\\x0e-\\x84\\x86-\uffff'],
]);

/** The insides of brackets for `[:name:]`. */
export const POSIX_SETS: ReadonlyMap<string, string> = new Map([
  ['alnum', '0-9A-Za-z'],
  ['alpha', 'A-Za-z'],
  ['ascii', '\\x00-\\x7f'],
  ['blank', '\\t '],
  ['cntrl', '\\x00-\\x1f\\x7f'],
  ['digit', '0-9'],
  ['graph', '!-~'],
  ['lower', 'a-z'],
  ['print', ' -~'],
  ['punct', '!-/:-@\\[-`{-~'],
  ['space', '\\t-\\r '],
  ['upper', 'A-Z'],
  ['word', '0-9A-Z_a-z'],
  ['xdigit', '0-9A-Fa-f'],
]);

const SYNTAX = /[\\^$.*+?()[\]{}|/-]/;

/** A character by its code, so that it means itself inside and outside of brackets. */
export function literal(code: number): string {
  if (code < 0x20 || (code >= 0x7f && code < 0x100)) return `\\x${code.toString(16).padStart(2, '0')}`;
  const character = String.fromCharCode(code);
  return SYNTAX.test(character) ? `\\${character}` : character;
}

/** The code of the same ASCII letter in the other case, or undefined for everything else. */
export function otherCase(code: number): number | undefined {
  if (code >= 0x41 && code <= 0x5a) return code + 0x20;
  if (code >= 0x61 && code <= 0x7a) return code - 0x20;
  return undefined;
}

/** The inside of brackets for the characters from `first` to `last`. */
export function range(first: number, last: number, ignoreCase: boolean): string {
  let result = first === last ? literal(first) : `${literal(first)}-${literal(last)}`;
  if (!ignoreCase) return result;
  const upperFirst = Math.max(first, 0x41);
  const upperLast = Math.min(last, 0x5a);
  if (upperFirst <= upperLast) result += `${literal(upperFirst + 0x20)}-${literal(upperLast + 0x20)}`;
  const lowerFirst = Math.max(first, 0x61);
  const lowerLast = Math.min(last, 0x7a);
  if (lowerFirst <= lowerLast) result += `${literal(lowerFirst - 0x20)}-${literal(lowerLast - 0x20)}`;
  return result;
}
