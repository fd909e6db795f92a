import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileExpression, type ExpressionValue } from './expression.ts';

type Values = Readonly<Record<string, string | readonly string[]>>;

const lookUp = (name: string) => (values: Values) => values[name] as ExpressionValue;

function holds(expression: readonly unknown[], values: Values): boolean {
  return compileExpression(expression, lookUp)(values);
}

test('each operator compares as lua-resty-expr does', () => {
  const cases: [rule: unknown[], value: string | string[] | undefined, expected: boolean][] = [
    [['==', 'a'], 'a', true],
    [['==', 'a'], 'A', false],
    [['==', 'a'], undefined, false],
    [['==', 1], '1.0', true],
    [['==', 1], 'one', false],
    [['==', 1], undefined, false],
    [['==', '1'], '1.0', false],
    [['==', null], undefined, true],
    [['==', null], '', false],
    [['==', true], 'true', false],
    [['~=', 'a'], 'b', true],
    [['~=', 'a'], undefined, true],
    [['~=', 1], 'one', true],
    [['~=', 1], '1', false],
    [['>', 10], '9', false],
    [['>', 10], '10.5', true],
    [['>', '10'], '11', true],
    [['>', 'ten'], '11', false],
    [['>', 0], undefined, false],
    [['>=', 10], ' 10 ', true],
    [['<', 10], '-3', true],
    [['<', 10], '', false],
    [['<=', 16], '0x10', true],
    [['<=', 16], '0x11', false],
    [['==', -0.5], '-.5', true],
    [['==', 250], '2.5e2', true],
    [['==', 1], `${'1'.repeat(100_000)}x`, false],
    [['~~', '^a+$'], 'aaa', true],
    [['~~', '^a+$'], 'AAA', false],
    [['~~', '.*'], undefined, false],
    [['~*', '^a+$'], 'AAA', true],
    [['in', ['a', 'b']], 'b', true],
    [['in', ['a', 'b']], undefined, false],
    [['in', [1, 2]], '1', false],
    [['in', 'abc'], 'abc', false],
    [['has', 'repo'], ['owner', 'repo'], true],
    [['has', 'repo'], ['owner'], false],
    [['has', 'repo'], 'repo', false],
    [['ipmatch', ['10.0.0.0/8', '::1']], '10.9.8.7', true],
    [['ipmatch', ['10.0.0.0/8', '::1']], '11.9.8.7', false],
    [['ipmatch', '10.0.0.1'], '10.0.0.1', true],
    [['ipmatch', '10.0.0.1'], undefined, false],
    [['IN', ['a']], 'a', true],
  ];
  for (const [[operator, literal], value, expected] of cases) {
    const values: Values = value === undefined ? {} : { x: value };
    const title = `${operator} ${JSON.stringify(literal)} on ${JSON.stringify(value)?.slice(0, 20)}`;
    assert.equal(holds([['x', operator, literal]], values), expected, title);
    assert.equal(holds([['x', '!', operator, literal]], values), !expected, `not ${title}`);
  }
});

test('rules are joined by AND unless the list says otherwise', () => {
  const a = ['a', '==', '1'];
  const b = ['b', '==', '1'];
  const both = { a: '1', b: '1' };
  const one = { a: '1', b: '0' };
  assert.deepEqual([holds([a, b], both), holds([a, b], one)], [true, false]);
  assert.deepEqual([holds(['AND', a, b], both), holds(['AND', a, b], one)], [true, false]);
  assert.deepEqual([holds(['OR', a, b], one), holds(['or', a, b], {})], [true, false]);
  assert.deepEqual([holds(['!AND', a, b], both), holds(['!AND', a, b], one)], [false, true]);
  assert.deepEqual([holds(['!OR', a, b], one), holds(['!OR', a, b], {})], [false, true]);
  assert.equal(holds([a, ['OR', b, ['c', '>', 3]]], { a: '1', c: '4' }), true);
  assert.equal(
    holds(
      [
        [a, b],
        ['c', '>', 3],
      ],
      { ...both, c: '2' },
    ),
    false,
  );
});

test('the empty expression is always true, the short form means equality', () => {
  assert.equal(holds([], {}), true);
  assert.equal(holds([['x', '1']], { x: '1' }), true);
  assert.equal(holds([['x', '1']], { x: '2' }), false);
  assert.equal(holds([['x', 1]], { x: '1' }), true);
});

test('a name is compiled once, and not at all when the expression is evaluated', () => {
  const names: string[] = [];
  const predicate = compileExpression(
    [
      ['a', '==', '1'],
      ['b', '==', '2'],
    ],
    (name) => {
      names.push(name);
      return (values: Values) => values[name] as string;
    },
  );
  predicate({ a: '1' });
  predicate({ b: '1' });
  assert.deepEqual(names, ['a', 'b']);
});

test("a malformed expression is refused in lua-resty-expr's words", () => {
  const cases: [expression: unknown[], message: string][] = [
    [['x', '==', '1'], 'rule should be wrapped inside brackets'],
    [[['x', '=', '1']], "invalid operator '='"],
    [[['x', '!', '1']], "invalid operator '!'"],
    [[['x', 'not', '==', '1']], "bad 'not' expression"],
    [[['x']], 'invalid expression'],
    [[[]], 'rule too short'],
    [['OR'], 'rule too short'],
    [['OR', ['x', '==', '1']], 'rule too short'],
    [['OR', ['x', '==', '1'], 'y'], 'invalid expression'],
    [[[null, '==', '1']], 'invalid expression'],
    [[['x', 'ipmatch', ['10.0.0.0/99']]], 'invalid ip address: 10.0.0.0/99'],
    [[['x', '~~', '(']], 'pcre2_compile() failed: missing closing parenthesis in "("'],
  ];
  for (const [expression, message] of cases) {
    assert.throws(() => compileExpression(expression, lookUp), { message }, JSON.stringify(expression));
  }
});

/** What an expression means, read anew with each evaluation: slow, short, and written on its own. */
function interpret(rule: readonly unknown[], values: Values): boolean {
  if (rule.length === 0) return true;
  if (Array.isArray(rule[0])) return rule.every((part) => interpret(part as unknown[], values));
  const head = String(rule[0]);
  const rest = rule.slice(1) as unknown[][];
  if (head === 'AND') return rest.every((part) => interpret(part, values));
  if (head === '!AND') return !rest.every((part) => interpret(part, values));
  if (head === 'OR') return rest.some((part) => interpret(part, values));
  if (head === '!OR') return !rest.some((part) => interpret(part, values));
  if (rule[1] === '!') return !interpret([rule[0], rule[2], rule[3]], values);
  const value = values[head];
  const literal = rule[2];
  const asNumber = value === undefined || value === '' ? Number.NaN : Number(value);
  const asText = String(value);
  switch (rule[1]) {
    case '==':
      return typeof literal === 'number' ? asNumber === literal : value === literal;
    case '~=':
      return typeof literal === 'number' ? asNumber !== literal : value !== literal;
    case '>':
      return asNumber > Number(literal);
    case '>=':
      return asNumber >= Number(literal);
    case '<':
      return asNumber < Number(literal);
    case '<=':
      return asNumber <= Number(literal);
    case '~~':
      return value !== undefined && new RegExp(String(literal)).test(asText);
    case '~*':
      return value !== undefined && new RegExp(String(literal), 'i').test(asText);
    case 'in':
      return (literal as unknown[]).includes(value);
  }
  return assert.fail(`no such operator: ${rule[1]}`);
}

const name = fc.constantFrom('a', 'b', 'c');
const word = fc.constantFrom('', '0', '1', '2', '10', '-1', '1.5', 'x', 'X', 'xy');
const number = fc.constantFrom(-1, 0, 1, 1.5, 2, 10);
const operation = fc.oneof(
  fc.tuple(fc.constantFrom('==', '~='), fc.oneof(word, number)),
  fc.tuple(fc.constantFrom('>', '>=', '<', '<='), fc.oneof(number, fc.constantFrom('0', '1', '10'))),
  fc.tuple(fc.constantFrom('~~', '~*'), fc.constantFrom('^x', 'X$', '[0-9]', 'x|1', '^$')),
  fc.tuple(fc.constant('in'), fc.array(fc.oneof(word, number))),
);
const comparison = fc
  .tuple(name, fc.boolean(), operation)
  .map(([left, isReversed, rest]) => (isReversed ? [left, '!', ...rest] : [left, ...rest]));
const { rule } = fc.letrec<{ rule: unknown[] }>((tie) => ({
  rule: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    comparison,
    fc.array(tie('rule'), { minLength: 1, maxLength: 3 }),
    fc
      .tuple(
        fc.constantFrom('AND', 'OR', '!AND', '!OR'),
        fc.array(tie('rule'), { minLength: 2, maxLength: 3 }),
      )
      .map(([join, rules]) => [join, ...rules]),
  ),
}));

test('an expression means what a naive interpreter reads in it', () => {
  const values = fc.dictionary(name, word, { noNullPrototype: true });
  fc.assert(
    fc.property(rule, fc.array(values, { minLength: 3, maxLength: 3 }), (generated, situations) => {
      const predicate = compileExpression([generated], lookUp);
      for (const situation of situations) {
        assert.equal(predicate(situation), interpret(generated, situation));
      }
    }),
    { numRuns: 1000 },
  );
});
