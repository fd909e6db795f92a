// Conditions as APISIX's `vars` writes them (lua-resty-expr 1.3), compiled to one predicate.
//
//   [["arg_id", ">", 10], ["OR", ["http_x", "~~", "^a"], ["cookie_y", "!", "in", ["b", "c"]]]]
//
// A list of lists means AND. A list that begins with AND, OR, !AND or !OR joins what follows. Else a
// list is a comparison: name, operator, literal, with "!" before the operator to turn it round.

import { IpSet } from './ip-range.ts';
import { compilePattern } from './pattern.ts';

/** What a name stands for; lists exist for the operator `has` alone. */
export type ExpressionValue = string | readonly string[] | undefined;

export type Predicate<S> = (source: S) => boolean;

type Comparison = (value: ExpressionValue) => boolean;

/**
 * Compiles an expression; the empty one is always true. `compileName` is called once for each name in
 * it, and what it returns once for each evaluation that gets there.
 *
 * Throws an Error in lua-resty-expr's words for a malformed expression, and a PatternError for a
 * pattern that cannot be used.
 */
export function compileExpression<S>(
  expression: readonly unknown[],
  compileName: (name: string) => (source: S) => ExpressionValue,
): Predicate<S> {
  if (expression.length === 0) return () => true;
  if (!isList(expression[0]) && !LOGIC.has(textOf(expression[0]).toUpperCase())) {
    throw new Error('rule should be wrapped inside brackets');
  }
  return compileRule(expression, compileName);
}

function compileRule<S>(
  rule: unknown,
  compileName: (name: string) => (source: S) => ExpressionValue,
): Predicate<S> {
  if (!isList(rule)) throw new Error('invalid expression');
  if (rule.length === 0) throw new Error('rule too short');
  if (isList(rule[0])) return every(rule.map((part) => compileRule(part, compileName)));
  const join = LOGIC.get(textOf(rule[0]).toUpperCase());
  if (!join) return compileComparison(rule, compileName);
  if (rule.length <= 2) throw new Error('rule too short');
  return join(rule.slice(1).map((part) => compileRule(part, compileName)));
}

function compileComparison<S>(
  rule: readonly unknown[],
  compileName: (name: string) => (source: S) => ExpressionValue,
): Predicate<S> {
  const isReversed = rule.length === 4;
  if (isReversed && rule[1] !== '!') throw new Error("bad 'not' expression");
  const [operator, literal] = isReversed ? [rule[2], rule[3]] : [rule[1], rule[2]];
  const value = compileName(textOf(rule[0]));
  const compare = compileOperator(operator, literal, isReversed || rule.length > 2);
  return isReversed ? (source) => !compare(value(source)) : (source) => compare(value(source));
}

function compileOperator(operator: unknown, literal: unknown, hasLiteral: boolean): Comparison {
  if (operator === undefined || operator === null) throw new Error('invalid expression');
  const name = textOf(operator).toLowerCase();
  const compile = OPERATORS.get(name);
  if (compile) return compile(literal ?? undefined);
  if (hasLiteral) throw new Error(`invalid operator '${name}'`);
  // The short form `["arg_x", "1"]`, in which lua-resty-expr, too, makes text of the literal.
  return equals(textOf(operator));
}

function every<S>(parts: readonly Predicate<S>[]): Predicate<S> {
  if (parts.length === 1) return parts[0];
  return (source) => {
    for (const part of parts) if (!part(source)) return false;
    return true;
  };
}

function some<S>(parts: readonly Predicate<S>[]): Predicate<S> {
  return (source) => {
    for (const part of parts) if (part(source)) return true;
    return false;
  };
}

function not<S>(part: Predicate<S>): Predicate<S> {
  return (source) => !part(source);
}

const LOGIC: ReadonlyMap<string, <S>(parts: readonly Predicate<S>[]) => Predicate<S>> = new Map([
  ['AND', every],
  ['OR', some],
  ['!AND', <S>(parts: readonly Predicate<S>[]) => not(every(parts))],
  ['!OR', <S>(parts: readonly Predicate<S>[]) => not(some(parts))],
]);

/** From the literal, undefined where the configuration says null or nothing, to the comparison. */
const OPERATORS: ReadonlyMap<string, (literal: unknown) => Comparison> = new Map([
  ['==', equals],
  ['~=', differs],
  ['>', numeric((value, limit) => value > limit)],
  ['>=', numeric((value, limit) => value >= limit)],
  ['<', numeric((value, limit) => value < limit)],
  ['<=', numeric((value, limit) => value <= limit)],
  ['~~', (literal: unknown) => matches(literal, false)],
  ['~*', (literal: unknown) => matches(literal, true)],
  ['in', isIn],
  ['has', hasMember],
  ['ipmatch', isInRange],
]);

/** With a number as literal both sides are numbers; a value that is none equals nothing. */
function equals(literal: unknown): Comparison {
  if (typeof literal === 'number') return (value) => toNumber(value) === literal;
  return (value) => value === literal;
}

function differs(literal: unknown): Comparison {
  const isEqual = equals(literal);
  return (value) => !isEqual(value);
}

function numeric(compare: (value: number, limit: number) => boolean): (literal: unknown) => Comparison {
  return (literal) => {
    const limit = toNumber(literal);
    if (limit === undefined) return () => false;
    return (value) => {
      const number = toNumber(value);
      return number !== undefined && compare(number, limit);
    };
  };
}

function matches(literal: unknown, ignoreCase: boolean): Comparison {
  const pattern = compilePattern(textOf(literal), { ignoreCase });
  return (value) => typeof value === 'string' && pattern.test(value);
}

/** As in Lua, a number in the list is not the text of the same digits; and only a list has members. */
function isIn(literal: unknown): Comparison {
  const members = new Set(isList(literal) ? literal : []);
  return (value) => value !== undefined && members.has(value);
}

function hasMember(literal: unknown): Comparison {
  return (value) => typeof literal === 'string' && isList(value) && value.includes(literal);
}

function isInRange(literal: unknown): Comparison {
  const set = new IpSet((isList(literal) ? literal : [literal]).map(textOf));
  return (value) => typeof value === 'string' && set.has(value);
}

const NUMBER =
  /^[ \t\n\v\f\r]*([+-]?)(?:0x([0-9a-f]+)|((?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?))[ \t\n\v\f\r]*$/i;

/** Lua's tonumber for decimal and hexadecimal numbers; undefined for everything else. */
function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  const match = NUMBER.exec(value);
  if (!match) return undefined;
  const number = match[2] === undefined ? Number(match[3]) : Number.parseInt(match[2], 16);
  return match[1] === '-' ? -number : number;
}

/** The text of a name, an operator or a pattern; a number in its place counts as its digits. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw new Error('invalid expression');
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
