// Regular expressions that operators write and strangers feed: they run in linear time on any text.
//
// V8 has a linear-time engine behind a flag. A pattern it can take is run by V8's usual engine, four
// times as fast on short texts, with a second flag that makes that engine hand over to the linear one
// after 50 000 steps back. A pattern it cannot take goes to RE2 in JavaScript, also when this Node
// doesn't know the flags; what RE2 refuses is refused. The flags are the process's, hence also set in
// all its threads, and harmless to other expressions.

import { createRequire } from 'node:module';
import v8 from 'node:v8';
import { malformed, unsupported } from './pattern-error.ts';
import { type TranslatedPattern, translatePattern } from './pattern-syntax.ts';
import { Replacement } from './replacement.ts';

export { PatternError } from './pattern-error.ts';
export { Replacement } from './replacement.ts';

/** The whole match and its groups, and where in the text the match begins. */
export type PatternMatch = readonly (string | undefined)[] & { readonly index: number };

export interface Pattern {
  test(text: string): boolean;
  exec(text: string): PatternMatch | null;
  /**
   * The text with the first match replaced, or undefined if there is none. On a hot path, give a
   * Replacement made once; a string is compiled with each call.
   */
  replaceFirst(text: string, replacement: string | Replacement): string | undefined;
  /** As replaceFirst, with all matches, none of which overlap. */
  replaceAll(text: string, replacement: string | Replacement): string | undefined;
}

v8.setFlagsFromString('--enable-experimental-regexp-engine');
v8.setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
const hasLinearEngine = isLinear('a', '');

/**
 * Compiles a pattern in PCRE's syntax. `$` means the very end of the text, also before a last line
 * break; a character is a byte or a UTF-16 unit; letters have two cases in ASCII only.
 *
 * Throws a PatternError for a malformed pattern, and for one that needs more than linear time.
 */
export function compilePattern(source: string, options: { readonly ignoreCase?: boolean } = {}): Pattern {
  const translated = translatePattern(source, options.ignoreCase === true);
  // V8 caches compiled expressions by their text. The extra group keeps ours apart from one that was
  // compiled before the flags were set, which would lack the protection.
  const wrapped = `(?:${translated.source})`;
  if (hasLinearEngine && !translated.hasUnicodeProperty && isLinear(wrapped, translated.flags)) {
    return new NativePattern(new RegExp(wrapped, translated.flags));
  }
  return compileRe2(source, translated);
}

function isLinear(source: string, flags: string): boolean {
  try {
    new RegExp(source, `l${flags}`);
    return true;
  } catch {
    return false;
  }
}

class NativePattern implements Pattern {
  readonly #expression: RegExp;
  #everyMatch: RegExp | undefined;

  constructor(expression: RegExp) {
    this.#expression = expression;
  }

  test(text: string): boolean {
    return this.#expression.test(text);
  }

  exec(text: string): PatternMatch | null {
    return this.#expression.exec(text);
  }

  replaceFirst(text: string, replacement: string | Replacement): string | undefined {
    return replaceMatch(text, this.#expression.exec(text), replacement);
  }

  replaceAll(text: string, replacement: string | Replacement): string | undefined {
    const { source, flags } = this.#expression;
    this.#everyMatch ??= new RegExp(source, `${flags}g`);
    return replaceMatches(text, text.matchAll(this.#everyMatch), replacement);
  }
}

type Re2 = typeof import('re2js');
type Re2Expression = ReturnType<Re2['RE2JS']['compile']>;
let re2: Re2 | undefined;

class Re2Pattern implements Pattern {
  readonly #expression: Re2Expression;

  constructor(expression: Re2Expression) {
    this.#expression = expression;
  }

  test(text: string): boolean {
    return this.#expression.test(text);
  }

  exec(text: string): PatternMatch | null {
    return this.#expression.exec(text) as PatternMatch | null;
  }

  replaceFirst(text: string, replacement: string | Replacement): string | undefined {
    return replaceMatch(text, this.exec(text), replacement);
  }

  replaceAll(text: string, replacement: string | Replacement): string | undefined {
    const matches = this.#expression.matchAll(text) as Iterable<PatternMatch>;
    return replaceMatches(text, matches, replacement);
  }
}

function compileRe2(source: string, translated: TranslatedPattern): Pattern {
  // Loaded on first need, as most configurations never do.
  re2 ??= createRequire(import.meta.url)('re2js') as Re2;
  const { RE2JS } = re2;
  let flags = 0;
  if (translated.flags.includes('m')) flags |= RE2JS.MULTILINE;
  if (translated.hasLookbehind) flags |= RE2JS.LOOKBEHINDS;
  try {
    return new Re2Pattern(RE2JS.compile(translated.source, flags));
  } catch (error) {
    if (translated.hasLookbehind) throw unsupported('this lookbehind', source);
    const reason = error instanceof Error ? error.message : String(error);
    if (/repeat count/.test(reason)) throw unsupported('a repetition of this size', source);
    throw malformed(reason, source);
  }
}

function replaceMatch(
  text: string,
  match: PatternMatch | null,
  replacement: string | Replacement,
): string | undefined {
  const compiled = typeof replacement === 'string' ? new Replacement(replacement) : replacement;
  if (match === null) return undefined;
  const end = match.index + (match[0]?.length ?? 0);
  return text.slice(0, match.index) + compiled.expand(match) + text.slice(end);
}

function replaceMatches(
  text: string,
  matches: Iterable<PatternMatch>,
  replacement: string | Replacement,
): string | undefined {
  const compiled = typeof replacement === 'string' ? new Replacement(replacement) : replacement;
  let result: string | undefined;
  let end = 0;
  for (const match of matches) {
    result = (result ?? '') + text.slice(end, match.index) + compiled.expand(match);
    end = match.index + (match[0]?.length ?? 0);
  }
  return result === undefined ? undefined : result + text.slice(end);
}
