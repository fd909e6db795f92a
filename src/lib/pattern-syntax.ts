// Patterns in PCRE's syntax, as APISIX users write them, translated to what V8 and RE2 both read.
//
// Letter case is dealt with here, by writing `[aA]` for `a`: V8's linear-time engine refuses the flag
// `i`, and configurations mean bytes anyway, so that only ASCII letters have two cases. Lookahead,
// backreferences and their kin are refused here by name; for lookbehind the engines decide.

import { ESCAPED_SETS, literal, otherCase, POSIX_SETS, range } from './character-class.ts';
import { malformed, unsupported } from './pattern-error.ts';

export interface TranslatedPattern {
  readonly source: string;
  /** `m` if the pattern begins with `(?m)`, else empty. */
  readonly flags: string;
  /** The pattern uses `\p{…}`, which V8 reads only together with a flag that costs linear time. */
  readonly hasUnicodeProperty: boolean;
  readonly hasLookbehind: boolean;
}

/** Options that hold to the end of the group in which they are switched. */
interface Scope {
  ignoreCase: boolean;
  dotAll: boolean;
}

const SIMPLE_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['a', 0x07],
  ['e', 0x1b],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
]);
const COUNT = /\{(?:(\d+)(,?)(\d*)|,(\d+))\}/y;
const GROUP_NAME = /\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/y;
const OPTIONS = /\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/y;
const POSIX_CLASS = /\[:(\^?)([a-z]+):\]/y;
const PROPERTY = /[pP](?:\{\^?\w+\}|[A-Z])/y;
const HEX = /x(?:\{([0-9A-Fa-f]{1,4})\}|([0-9A-Fa-f]{0,2}))/y;
const OCTAL = /0[0-7]{0,2}|o\{([0-7]{1,6})\}/y;
const MAX_COUNT = 65535;

/** Throws a PatternError for what is malformed or has no linear-time equivalent. */
export function translatePattern(source: string, ignoreCase: boolean): TranslatedPattern {
  return new Translation(source, ignoreCase).run();
}

class Translation {
  readonly #source: string;
  readonly #outerScopes: Scope[] = [];
  readonly #groupNames = new Set<string>();
  #scope: Scope;
  #position = 0;
  #output = '';
  #isRepeatable = false;
  #isMultiline = false;
  #hasUnicodeProperty = false;
  #hasLookbehind = false;

  constructor(source: string, ignoreCase: boolean) {
    this.#source = source;
    this.#scope = { ignoreCase, dotAll: false };
  }

  run(): TranslatedPattern {
    while (this.#position < this.#source.length) this.#output += this.#item();
    if (this.#outerScopes.length > 0) throw malformed('missing closing parenthesis', this.#source);
    return {
      source: this.#output,
      flags: this.#isMultiline ? 'm' : '',
      hasUnicodeProperty: this.#hasUnicodeProperty,
      hasLookbehind: this.#hasLookbehind,
    };
  }

  #item(): string {
    const character = this.#source[this.#position];
    switch (character) {
      case '\\':
        return this.#escape();
      case '[':
        return this.#class();
      case '(':
        return this.#open();
      case ')':
        return this.#close();
      case '*':
      case '+':
      case '?':
        return this.#repeat(character, this.#position + 1);
      case '{':
        return this.#count();
      case '|':
      case '^':
      case '$':
        return this.#emit(character, 1, false);
      case '.':
        return this.#emit(this.#scope.dotAll ? '[\\s\\S]' : '[^\\n]', 1);
      default:
        return this.#emitCode(this.#source.charCodeAt(this.#position), 1);
    }
  }

  /** Moves on in the source, and says what stands for the part passed over. */
  #emit(output: string, consumed: number, isRepeatable = true): string {
    this.#position += consumed;
    this.#isRepeatable = isRepeatable;
    return output;
  }

  #emitCode(code: number, consumed: number): string {
    const other = this.#scope.ignoreCase ? otherCase(code) : undefined;
    return this.#emit(other === undefined ? literal(code) : `[${literal(code)}${literal(other)}]`, consumed);
  }

  #matchHere(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.#position;
    return expression.exec(this.#source);
  }

  #count(): string {
    const match = this.#matchHere(COUNT);
    if (!match) return this.#emit('\\{', 1);
    const end = this.#position + match[0].length;
    const minimum = Number(match[1] ?? 0);
    const maximum = Number(match[4] ?? (match[2] === '' ? match[1] : match[3] || Infinity));
    if (minimum > MAX_COUNT || (maximum > MAX_COUNT && maximum !== Infinity)) {
      throw malformed('number too big in {} quantifier', this.#source, end - 1);
    }
    if (minimum > maximum) throw malformed('numbers out of order in {} quantifier', this.#source, end - 1);
    return this.#repeat(match[1] === undefined ? `{0,${match[4]}}` : match[0], end);
  }

  #repeat(quantifier: string, end: number): string {
    if (!this.#isRepeatable) {
      throw malformed('quantifier does not follow a repeatable item', this.#source, this.#position);
    }
    const suffix = this.#source[end];
    if (suffix === '+') throw unsupported('a possessive quantifier', this.#source);
    const isLazy = suffix === '?';
    this.#position = end + (isLazy ? 1 : 0);
    return this.#emit(isLazy ? `${quantifier}?` : quantifier, 0, false);
  }

  #close(): string {
    const scope = this.#outerScopes.pop();
    if (!scope) throw malformed('unmatched closing parenthesis', this.#source, this.#position);
    this.#scope = scope;
    return this.#emit(')', 1);
  }

  #open(): string {
    const after = this.#source.slice(this.#position + 1, this.#position + 4);
    if (/^\*[A-Za-z]/.test(after)) throw unsupported('a verb', this.#source);
    if (after[0] !== '?') return this.#enter('(', 1);
    if (/^\?[=!]/.test(after)) throw unsupported('lookahead', this.#source);
    if (/^\?<[=!]/.test(after)) {
      this.#hasLookbehind = true;
      return this.#enter(`(${after}`, 4);
    }
    const named = this.#matchHere(GROUP_NAME);
    if (named) {
      const name = named[1] ?? named[2];
      if (this.#groupNames.has(name)) throw unsupported('a second group of the same name', this.#source);
      this.#groupNames.add(name);
      return this.#enter(`(?<${name}>`, named[0].length);
    }
    return this.#special(after);
  }

  #special(after: string): string {
    if (after[1] === '>') throw unsupported('an atomic group', this.#source);
    if (after[1] === '|') throw unsupported('a branch reset group', this.#source);
    if (after[1] === '(') throw unsupported('a conditional group', this.#source);
    if (after.startsWith('?P=')) throw unsupported('a backreference', this.#source);
    if (/^\?(?:R|&|P>|[+-]?\d)/.test(after)) throw unsupported('recursion', this.#source);
    if (after[1] === '#') {
      const end = this.#source.indexOf(')', this.#position);
      if (end < 0) throw malformed('missing ) following (?# comment', this.#source);
      return this.#emit('', end + 1 - this.#position, this.#isRepeatable);
    }
    const options = this.#matchHere(OPTIONS);
    if (!options) throw malformed('unrecognized character after (? or (?-', this.#source, this.#position + 2);
    const [text, on, off = '', end] = options;
    const atStart = this.#position === 0;
    const opening = end === ':' ? this.#enter('(?:', text.length) : this.#emit('', text.length, false);
    this.#scope = { ...this.#scope };
    for (const option of on) this.#switch(option, true, atStart && end === ')');
    for (const option of off) this.#switch(option, false, false);
    return opening;
  }

  #switch(option: string, on: boolean, forAll: boolean): void {
    if (option === 'i') this.#scope.ignoreCase = on;
    else if (option === 's') this.#scope.dotAll = on;
    else if (option === 'm' && forAll) this.#isMultiline = true;
    else throw unsupported(`the option (?${option}) in this place`, this.#source);
  }

  #enter(output: string, consumed: number): string {
    this.#outerScopes.push(this.#scope);
    return this.#emit(output, consumed, false);
  }

  #escape(): string {
    const character = this.#source[this.#position + 1];
    if (character === undefined) throw malformed('\\ at end of pattern', this.#source);
    const set = ESCAPED_SETS.get(character);
    if (set !== undefined) return this.#emit(`[${set}]`, 2);
    switch (character) {
      case 'A':
        return this.#emit(this.#isMultiline ? '(?<![\\s\\S])' : '^', 2, false);
      case 'z':
      case 'Z':
        if (this.#isMultiline) throw unsupported(`\\${character} together with (?m)`, this.#source);
        return this.#emit('$', 2, false);
      case 'b':
      case 'B':
        return this.#emit(`\\${character}`, 2, false);
      case 'N':
        return this.#emit('[^\\n]', 2);
      case 'R':
        return this.#emit('(?:\\r\\n|[\\n-\\r\\x85])', 2);
      case 'E':
        return this.#emit('', 2, this.#isRepeatable);
      case 'Q':
        return this.#quoted();
      case 'G':
      case 'K':
      case 'X':
      case 'C':
        throw unsupported(`\\${character}`, this.#source);
      case 'g':
      case 'k':
        throw unsupported('a backreference', this.#source);
    }
    if (/[1-9]/.test(character)) throw unsupported('a backreference', this.#source);
    this.#position += 1;
    const property = this.#matchHere(PROPERTY);
    if (property) {
      this.#hasUnicodeProperty = true;
      return this.#emit(`\\${property[0]}`, property[0].length);
    }
    return this.#emitCode(this.#escapedCode(), 0);
  }

  #quoted(): string {
    const start = this.#position + 2;
    const found = this.#source.indexOf('\\E', start);
    const end = found < 0 ? this.#source.length : found;
    this.#position = start;
    let output = '';
    while (this.#position < end) output += this.#emitCode(this.#source.charCodeAt(this.#position), 1);
    if (found >= 0) this.#position += 2;
    return output;
  }

  /** Reads what follows a backslash, inside brackets or outside, as one character. */
  #escapedCode(): number {
    const character = this.#source[this.#position];
    const hex = this.#matchHere(HEX);
    if (hex) {
      this.#position += hex[0].length;
      return Number.parseInt(hex[1] ?? (hex[2] || '0'), 16);
    }
    const octal = this.#matchHere(OCTAL);
    if (octal) {
      this.#position += octal[0].length;
      return Number.parseInt(octal[1] ?? octal[0], 8);
    }
    this.#position += 1;
    if (character === 'c' && this.#position < this.#source.length) {
      return this.#source[this.#position++].toUpperCase().charCodeAt(0) ^ 0x40;
    }
    const simple = SIMPLE_ESCAPES.get(character);
    if (simple !== undefined) return simple;
    if (/[0-9A-Za-z]/.test(character)) {
      throw malformed('unrecognized character follows \\', this.#source, this.#position - 1);
    }
    return character.charCodeAt(0);
  }

  #class(): string {
    let inside = '';
    this.#position += 1;
    const isNegated = this.#source[this.#position] === '^';
    if (isNegated) this.#position += 1;
    // A bracket in first place is a member, not the end.
    let isFirst = true;
    while (isFirst || this.#source[this.#position] !== ']') {
      if (this.#position >= this.#source.length) {
        throw malformed('missing terminating ] for character class', this.#source);
      }
      inside += this.#classItem();
      isFirst = false;
    }
    return this.#emit(`[${isNegated ? '^' : ''}${inside}]`, 1);
  }

  #classItem(): string {
    const first = this.#classMember();
    if (typeof first === 'string') return first;
    const isRange =
      this.#source[this.#position] === '-' &&
      this.#position + 1 < this.#source.length &&
      this.#source[this.#position + 1] !== ']';
    if (!isRange) return range(first, first, this.#scope.ignoreCase);
    this.#position += 1;
    const last = this.#classMember();
    // A set cannot end a range, so the hyphen stands for itself.
    if (typeof last === 'string') return `${range(first, first, this.#scope.ignoreCase)}\\-${last}`;
    if (last < first)
      throw malformed('range out of order in character class', this.#source, this.#position - 1);
    return range(first, last, this.#scope.ignoreCase);
  }

  /** One member of a character class: the code of a character, or a set written out. */
  #classMember(): number | string {
    const posix = this.#matchHere(POSIX_CLASS);
    if (posix) return this.#posixClass(posix);
    if (this.#source[this.#position] !== '\\') return this.#source.charCodeAt(this.#position++);
    this.#position += 1;
    const character = this.#source[this.#position];
    if (character === undefined) throw malformed('\\ at end of pattern', this.#source);
    const set = ESCAPED_SETS.get(character);
    if (set !== undefined) {
      this.#position += 1;
      return set;
    }
    const property = this.#matchHere(PROPERTY);
    if (property) {
      this.#position += property[0].length;
      this.#hasUnicodeProperty = true;
      return `\\${property[0]}`;
    }
    if (character === 'b') {
      this.#position += 1;
      return 0x08;
    }
    return this.#escapedCode();
  }

  #posixClass([text, caret, name]: RegExpExecArray): string {
    const set = POSIX_SETS.get(name);
    if (set === undefined) throw malformed('unknown POSIX class name', this.#source, this.#position);
    if (caret !== '') throw unsupported('a negated POSIX class', this.#source);
    this.#position += text.length;
    const hasCase = name === 'lower' || name === 'upper';
    return hasCase && this.#scope.ignoreCase ? 'A-Za-z' : set;
  }
}
