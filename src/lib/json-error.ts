// Says what is wrong with a text that is not JSON, in the words of lua-cjson, which users of APISIX
// know from its answers. Only run on texts that `JSON.parse` has refused.

const DEPTH = 1000;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PUNCTUATION: Readonly<Record<string, string>> = {
  '{': 'T_OBJ_BEGIN',
  '}': 'T_OBJ_END',
  '[': 'T_ARR_BEGIN',
  ']': 'T_ARR_END',
  ',': 'T_COMMA',
  ':': 'T_COLON',
};

interface Token {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** `Expected object key string but found T_END at character 15`; characters are counted from 1. */
export function jsonError(text: string): string {
  try {
    const end = value(text, token(text, 0), 1);
    expect(token(text, end), ['T_END'], 'the end');
  } catch (error) {
    if (error instanceof Mismatch) return error.message;
    throw error;
  }
  return `Expected value but found invalid token at character 1`;
}

/** Whether objects and arrays are nested deeper than lua-cjson allows. Meant for JSON; costs one pass. */
export function nestedTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      while (++at < text.length && text.charCodeAt(at) !== 0x22) if (text.charCodeAt(at) === 0x5c) at++;
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEPTH) return true;
    } else if (code === 0x7d || code === 0x5d) {
      depth--;
    }
  }
  return false;
}

class Mismatch extends Error {}

function expect(found: Token, names: readonly string[], expected: string): void {
  if (names.includes(found.name)) return;
  throw new Mismatch(`Expected ${expected} but found ${found.name} at character ${found.start + 1}`);
}

/** Walks over one value and gives the place after it. */
function value(text: string, first: Token, depth: number): number {
  const tooDeep = depth > DEPTH;
  if (first.name === 'T_OBJ_BEGIN' || first.name === 'T_ARR_BEGIN') {
    if (tooDeep) {
      throw new Mismatch(`Found too many nested data structures (${depth}) at character ${first.start + 1}`);
    }
    return first.name === 'T_OBJ_BEGIN' ? object(text, first.end, depth) : array(text, first.end, depth);
  }
  expect(first, ['T_STRING', 'T_NUMBER', 'T_BOOLEAN', 'T_NULL'], 'value');
  return first.end;
}

function object(text: string, start: number, depth: number): number {
  let next = token(text, start);
  if (next.name === 'T_OBJ_END') return next.end;
  for (;;) {
    expect(next, ['T_STRING'], 'object key string');
    next = token(text, next.end);
    expect(next, ['T_COLON'], 'colon');
    next = token(text, value(text, token(text, next.end), depth + 1));
    if (next.name === 'T_OBJ_END') return next.end;
    expect(next, ['T_COMMA'], 'comma or object end');
    next = token(text, next.end);
  }
}

function array(text: string, start: number, depth: number): number {
  let next = token(text, start);
  if (next.name === 'T_ARR_END') return next.end;
  for (;;) {
    next = token(text, value(text, next, depth + 1));
    if (next.name === 'T_ARR_END') return next.end;
    expect(next, ['T_COMMA'], 'comma or array end');
    next = token(text, next.end);
  }
}

function token(text: string, from: number): Token {
  let start = from;
  while (start < text.length && ' \t\n\r'.includes(text[start])) start++;
  if (start >= text.length) return { name: 'T_END', start, end: start };
  const punctuation = PUNCTUATION[text[start]];
  if (punctuation !== undefined) return { name: punctuation, start, end: start + 1 };
  if (text[start] === '"') return string(text, start);
  for (const [word, name] of [
    ['true', 'T_BOOLEAN'],
    ['false', 'T_BOOLEAN'],
    ['null', 'T_NULL'],
  ]) {
    if (text.startsWith(word, start)) return { name, start, end: start + word.length };
  }
  NUMBER.lastIndex = start;
  const number = NUMBER.exec(text);
  if (number !== null) return { name: 'T_NUMBER', start, end: start + number[0].length };
  return { name: /[-\d]/.test(text[start]) ? 'invalid number' : 'invalid token', start, end: start + 1 };
}

function string(text: string, start: number): Token {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at];
    if (character === '"') return { name: 'T_STRING', start, end: at + 1 };
    if (character === '\\') {
      if (text[at + 1] === 'u' && !/^[0-9a-fA-F]{4}$/.test(text.slice(at + 2, at + 6))) {
        return { name: 'invalid unicode escape code', start: at, end: at + 1 };
      }
      if (!'"\\/bfnrtu'.includes(text[at + 1] ?? ' '))
        return { name: 'invalid escape code', start: at, end: at + 1 };
      at++;
    } else if (character < ' ') {
      return { name: 'invalid token', start: at, end: at + 1 };
    }
  }
  return { name: 'unexpected end of string', start: text.length, end: text.length };
}
