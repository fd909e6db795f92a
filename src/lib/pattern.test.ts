import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { compilePattern, PatternError, Replacement } from './pattern.ts';

/** Present in a pattern, it forces the engine that V8's linear one cannot replace. */
const FORCES_RE2 = '(?:\\p{L}){0}';

function refusal(source: string): string {
  try {
    compilePattern(source);
  } catch (error) {
    assert.ok(error instanceof PatternError, `a PatternError for ${source}`);
    return error.message;
  }
  assert.fail(`${source} is accepted`);
}

test('a pattern that explodes when backtracking ends at once, whatever its options', () => {
  const hostile = `/api/${'a'.repeat(5000)}b`;
  assert.equal(compilePattern('^/api/(a+)+$').test(hostile), false);
  assert.equal(compilePattern('^/API/(A+)+$', { ignoreCase: true }).test(hostile), false);
  assert.equal(compilePattern('(?i)^/API/(A+)+$').test(hostile), false);
  assert.equal(compilePattern('(?s)^/api/(.|a)+$.').test(hostile), false);
  assert.equal(compilePattern('(?<=/)(a+)+$').test(hostile), false);
  assert.equal(compilePattern(`${FORCES_RE2}^/api/(a+)+$`).test(hostile), false);
});

test('protection holds also for a text that was compiled before as a plain expression', () => {
  const source = '^(b+)+$';
  new RegExp(source).test('bbbc');
  assert.equal(compilePattern(source).test(`${'b'.repeat(5000)}c`), false);
});

test('patterns work in worker threads', async () => {
  const module = JSON.stringify(new URL('./pattern.ts', import.meta.url).href);
  const worker = new Worker(
    `import { parentPort } from 'node:worker_threads';
     const { compilePattern } = await import(${module});
     parentPort.postMessage([
       compilePattern('^(a+)+$').test('a'.repeat(5000) + 'b'),
       compilePattern('^\\\\p{L}$').test('é'),
     ]);`,
    { eval: true },
  );
  const [result] = await new Promise<unknown[]>((resolve, reject) => {
    worker.once('message', (message) => resolve([message]));
    worker.once('error', reject);
  });
  await worker.terminate();
  assert.deepEqual(result, [false, true]);
});

test('groups are given in order, undefined where they took no part', () => {
  assert.deepEqual([...(compilePattern('^/(a)?(b)').exec('/b/c') ?? [])], ['/b', undefined, 'b']);
  assert.deepEqual(
    [...(compilePattern(`${FORCES_RE2}^/(a)?(b)`).exec('/b/c') ?? [])],
    ['/b', undefined, 'b'],
  );
  assert.equal(compilePattern('x').exec('abc'), null);
});

test("PCRE's own syntax keeps its meaning", () => {
  const cases: [pattern: string, text: string, matches: boolean][] = [
    ['(?i)^ABC$', 'aBc', true],
    ['^(?i:A)B$', 'aB', true],
    ['^(?i:A)B$', 'ab', false],
    ['^(a(?i)b|c)D$', 'CD', true],
    ['^(a(?i)b|c)D$', 'Cd', false],
    ['(?i)^[^a-c]$', 'B', false],
    ['(?i)^[Y-b]$', 'z', true],
    ['(?i)^[\\x41]\\x42$', 'ab', true],
    ['(?s)^a.b$', 'a\nb', true],
    ['^a.b$', 'a\nb', false],
    ['^a.b$', 'a\rb', true],
    ['(?m)^b$', 'a\nb', true],
    ['^(?P<year>\\d+)$', '2026', true],
    ["^(?'year'\\d+)$", '2026', true],
    ['^[]a]+$', ']a', true],
    ['^[^]a]$', ']', false],
    ['^[[:alpha:]_]+$', 'a_Z', true],
    ['(?i)^[[:upper:]]$', 'a', true],
    ['^[\\d-x]+$', '1-x', true],
    ['^\\h\\v$', '\t\n', true],
    ['^\\s$', '\u00a0', false],
    ['^\\S$', '\u00a0', true],
    ['\\Aab\\z', 'ab', true],
    ['\\Aab\\z', 'ab\n', false],
    ['^\\Qa.b\\E$', 'a.b', true],
    ['^\\Qa.b\\E$', 'axb', false],
    ['^a{,2}$', 'aa', true],
    ['^a{x}$', 'a{x}', true],
    ['^a(?#a comment)b$', 'ab', true],
    ['^\\x{41}\\cA\\e\\012$', 'A\x01\x1b\n', true],
    ['(?<!x)a', 'xa', false],
    ['(?<=x)a', 'xa', true],
  ];
  for (const [pattern, text, matches] of cases) {
    assert.equal(compilePattern(pattern).test(text), matches, `${pattern} on ${JSON.stringify(text)}`);
    const other = pattern.startsWith('(?m)') ? `${pattern}${FORCES_RE2}` : `${FORCES_RE2}${pattern}`;
    assert.equal(compilePattern(other).test(text), matches, `${other} on ${JSON.stringify(text)}`);
  }
});

test('what cannot run in linear time is refused by name', () => {
  for (const [source, feature] of [
    ['a(?=b)', 'lookahead'],
    ['a(?!b)', 'lookahead'],
    ['(a)\\1', 'a backreference'],
    ['(?<a>a)\\k<a>', 'a backreference'],
    ['(?P<a>a)(?P=a)', 'a backreference'],
    ['a++', 'a possessive quantifier'],
    ['a{2,3}+', 'a possessive quantifier'],
    ['(?>a)', 'an atomic group'],
    ['(?|a|b)', 'a branch reset group'],
    ['(a)?(?(1)b|c)', 'a conditional group'],
    ['a(?R)?b', 'recursion'],
    ['(*UTF8)a', 'a verb'],
    ['(?x) a', 'the option (?x) in this place'],
    ['a{60000}', 'a repetition of this size'],
  ]) {
    assert.equal(
      refusal(source),
      `${feature} is not supported, as patterns must run in linear time, in "${source}"`,
    );
  }
});

test("a malformed pattern is refused in PCRE's words", () => {
  for (const [source, text] of [
    ['^/(', 'missing closing parenthesis in "^/("'],
    ['a)b', 'unmatched closing parenthesis in "a)b" at ")b"'],
    ['[a', 'missing terminating ] for character class in "[a"'],
    ['*a', 'quantifier does not follow a repeatable item in "*a" at "*a"'],
    ['a{3,1}', 'numbers out of order in {} quantifier in "a{3,1}" at "}"'],
    ['a{70000}', 'number too big in {} quantifier in "a{70000}" at "}"'],
    ['\\', '\\ at end of pattern in "\\"'],
    ['\\y', 'unrecognized character follows \\ in "\\y" at "y"'],
    ['[[:nope:]]', 'unknown POSIX class name in "[[:nope:]]" at "[:nope:]]"'],
  ]) {
    assert.equal(refusal(source), `pcre2_compile() failed: ${text}`);
  }
});

test('the first match is replaced as ngx.re.sub does', () => {
  const orders = compilePattern('^/api/v1/orders/(.*)');
  assert.equal(orders.replaceFirst('/api/v1/orders/12', '/internal/orders/$1'), '/internal/orders/12');
  assert.equal(orders.replaceFirst('/other', '/internal/$1'), undefined);
  assert.equal(
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of ngx.re.sub.
    orders.replaceFirst('/api/v1/orders/12', new Replacement('${1}0-$$-$0-$9-')),
    '120-$-/api/v1/orders/12--',
  );
  assert.equal(compilePattern('b').replaceFirst('abcb', ''), 'acb');
  assert.equal(compilePattern(`${FORCES_RE2}(b)`).replaceFirst('abcb', '[$1]'), 'a[b]cb');
});

test('a replacement with a stray dollar is refused', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of ngx.re.sub.
  for (const template of ['$', 'a$b', '${a}', '${1']) {
    assert.throws(() => new Replacement(template), {
      name: 'PatternError',
      message: `failed to compile the replacement template: "${template}"`,
    });
  }
});

const atom = fc.constantFrom(
  'a',
  'B',
  'c',
  '\\.',
  '.',
  '[a-c]',
  '[^Ab]',
  '[X-c]',
  '\\d',
  '\\w',
  '-',
  '\\b',
  '[\\]-]',
);
const { pattern } = fc.letrec<{ pattern: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc
      .tuple(
        fc.oneof(
          fc.constantFrom('a', 'B', '[b-d]', '.'),
          fc.tuple(tie('pattern')).map(([inner]) => `(${inner})`),
        ),
      )
      .chain(([inner]) =>
        fc.constantFrom('*', '+', '?', '{1,3}', '{2}', '*?', '+?').map((count) => inner + count),
      ),
    fc.tuple(tie('pattern'), tie('pattern')).map(([left, right]) => `(?:${left}|${right})`),
  ),
  pattern: fc.array(tie('item'), { minLength: 1, maxLength: 4 }).map((items) => items.join('')),
}));
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'c', 'A', 'B', 'X', 'z', '-', '.', ']', '1', '\u00e9'),
  maxLength: 12,
});

test('where the syntaxes agree, matches and groups are those of a plain RegExp', () => {
  fc.assert(
    fc.property(pattern, text, fc.boolean(), (source, subject, ignoreCase) => {
      const expected = new RegExp(source, ignoreCase ? 'i' : '').exec(subject);
      const actual = compilePattern(source, { ignoreCase }).exec(subject);
      assert.deepEqual(actual && [...actual], expected && [...expected]);
    }),
    { numRuns: 500 },
  );
});

// How far a match reaches is left out: JavaScript never repeats a part that matched nothing, RE2 may.
test('both engines find a match in the same texts', () => {
  fc.assert(
    fc.property(pattern, text, fc.boolean(), (source, subject, ignoreCase) => {
      const native = compilePattern(source, { ignoreCase });
      const re2 = compilePattern(FORCES_RE2 + source, { ignoreCase });
      assert.equal(re2.test(subject), native.test(subject));
      assert.equal(re2.exec(subject) === null, native.exec(subject) === null);
    }),
    { numRuns: 300 },
  );
});

test('replaces all matches, also empty ones', () => {
  assert.equal(compilePattern('l').replaceAll('hello', 'L$0'), 'heLlLlo');
  assert.equal(compilePattern('x*').replaceAll('axb', '-'), '-a--b-');
  assert.equal(compilePattern('z').replaceAll('hello', ''), undefined);
  // Beyond V8's linear engine, hence RE2's.
  assert.equal(compilePattern('\\p{L}').replaceAll('a1b', '<$0>'), '<a>1<b>');
});

test('says where a match begins', () => {
  assert.equal(compilePattern('l+').exec('hello')?.index, 2);
  assert.equal(compilePattern('\\p{L}').exec('12a')?.index, 2);
});
