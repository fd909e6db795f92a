import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCacheControl } from './cache-control.ts';
import { type Field, FieldList } from './field-list.ts';
import { ageOf, mayReplaceError, reuseOf, suits } from './reuse.ts';
import { freshened, type ReceivedResponse, type StoringPolicy, storingOf } from './stored-response.ts';

const NOW = Date.UTC(2026, 10, 21);
const policy: StoringPolicy = {
  targetedFields: ['sluice-cache-control', 'cdn-cache-control'],
  heuristicFraction: 0.1,
  heuristicMaximum: 86_400_000,
  dropSetCookie: false,
  guessesForCookies: false,
  staleIfError: 60_000,
  lifetime: (_status, { lifetime }) => lifetime,
};

function received(
  fields: readonly Field[],
  more: Partial<ReceivedResponse> & { ask?: readonly Field[] } = {},
) {
  const { ask = [], ...rest } = more;
  return {
    method: 'GET',
    status: 200,
    fields: new FieldList(fields),
    request: new FieldList(ask),
    requestedAt: NOW,
    receivedAt: NOW,
    ...rest,
  };
}

const storing = (...given: Parameters<typeof received>) => storingOf(received(...given), policy);
const store = (...given: Parameters<typeof received>) => {
  const { stored } = storing(...given);
  assert.ok(stored !== undefined);
  return stored;
};
const reuse = (stored: ReturnType<typeof store>, seconds: number, asked = '') =>
  reuseOf(stored, parseCacheControl(asked === '' ? [] : [asked]), NOW + seconds * 1000);

const refusals: readonly (readonly [string, readonly Field[], Parameters<typeof received>[1]?])[] = [
  ['no-store', [['Cache-Control', 'max-age=60, no-store']]],
  ['private', [['Cache-Control', 'max-age=60, private']]],
  ['private', [['Cache-Control', 'max-age=60, private="x-a"']]],
  [
    'set-cookie',
    [
      ['Cache-Control', 'max-age=60'],
      ['Set-Cookie', 'a=b'],
    ],
  ],
  [
    'vary',
    [
      ['Cache-Control', 'max-age=60'],
      ['Vary', 'a, *'],
    ],
  ],
  [
    'status',
    [
      ['Cache-Control', 'max-age=60'],
      ['Content-Range', 'bytes 0-1/2'],
    ],
    { status: 206 },
  ],
  ['status', [['Cache-Control', 'max-age=60, must-understand']], { status: 599 }],
  ['status', [['Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT']], { status: 403 }],
  ['authorization', [['Cache-Control', 'max-age=60']], { ask: [['Authorization', 'x']] }],
  ['stale', []],
  ['stale', [['Cache-Control', 'max-age=0']]],
  [
    'stale',
    [
      ['Cache-Control', 'max-age=60'],
      ['Age', '600'],
    ],
  ],
  [
    'no-store',
    [
      ['Cache-Control', 'max-age=60'],
      ['CDN-Cache-Control', 'no-store'],
    ],
  ],
  ['cookie', [['Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT']], { ask: [['Cookie', 'a=b']] }],
  ['method', [['Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT']], { method: 'POST' }],
];
for (const [reason, fields, more] of refusals) {
  test(`refuses ${JSON.stringify(fields)} ${JSON.stringify(more ?? {})}: ${reason}`, () =>
    assert.deepEqual(storing(fields, more), { stored: undefined, reason }));
}

test('stores for Authorization what says that it may be shared', () => {
  for (const word of ['public', 'must-revalidate', 's-maxage=60'])
    store([['Cache-Control', `max-age=60, ${word}`]], { ask: [['Authorization', 'x']] });
});

test('never stores a cookie, even of a public response', () => {
  const stored = store([
    ['Cache-Control', 'public, max-age=60'],
    ['Set-Cookie', 'a=b'],
    ['X-A', '1'],
  ]);
  assert.deepEqual(
    stored.fields.map(([name]) => name),
    ['Cache-Control', 'X-A', 'Date'],
  );
});

test("leaves out what is the connection's, and what may not be used unasked", () => {
  const stored = store([
    ['Cache-Control', 'max-age=60, no-cache="X-B"'],
    ['Connection', 'close, X-A'],
    ['Content-Length', '3'],
    ['Age', '1'],
    ['X-A', '1'],
    ['x-b', '1'],
    ['Date', new Date(NOW).toUTCString()],
  ]);
  assert.deepEqual(
    stored.fields.map(([name]) => name),
    ['Cache-Control', 'Date'],
  );
});

test('counts the age from all that is known of it', () => {
  const date = new Date(NOW - 20_000).toUTCString();
  const stored = store(
    [
      ['Cache-Control', 'max-age=100'],
      ['Date', date],
      ['Age', '30'],
    ],
    { requestedAt: NOW - 5_000 },
  );
  assert.equal(ageOf(stored, NOW + 1_000), 36_000);
});

test('prefers the targeted field, s-maxage, max-age and Expires in this order', () => {
  const at = new Date(NOW + 5_000).toUTCString();
  const fields: Field[] = [
    ['Expires', at],
    ['Date', new Date(NOW).toUTCString()],
  ];
  assert.equal(store(fields).lifetime, 5_000);
  fields.push(['Cache-Control', 'max-age=6']);
  assert.equal(store(fields).lifetime, 6_000);
  fields.push(['Cache-Control', 's-maxage=7']);
  assert.equal(store(fields).lifetime, 7_000);
  fields.push(['CDN-Cache-Control', 'max-age=8']);
  assert.equal(store(fields).lifetime, 8_000);
  fields.push(['Sluice-Cache-Control', 'max-age=9']);
  assert.equal(store(fields).lifetime, 9_000);
});

test('guesses a tenth of the time since the last modification', () => {
  const ago = (seconds: number) => new Date(NOW - seconds * 1000).toUTCString();
  assert.equal(store([['Last-Modified', ago(1000)]]).lifetime, 100_000);
  assert.equal(store([['Last-Modified', ago(1e8)]]).lifetime, 86_400_000);
});

test('allows stale use only as far as the origin does', () => {
  const plain = store([['Cache-Control', 'max-age=10']]);
  assert.equal(reuse(plain, 9), 'fresh');
  assert.equal(reuse(plain, 10), 'validate');
  assert.equal(mayReplaceError(plain, NOW + 69_000), true);
  assert.equal(mayReplaceError(plain, NOW + 71_000), false);
  const revalidating = store([['Cache-Control', 'max-age=10, stale-while-revalidate=5, stale-if-error=1']]);
  assert.equal(reuse(revalidating, 14), 'revalidating');
  assert.equal(reuse(revalidating, 15), 'validate');
  assert.equal(mayReplaceError(revalidating, NOW + 12_000), false);
  for (const word of ['must-revalidate', 'proxy-revalidate', 's-maxage=10']) {
    const strict = store([
      ['Cache-Control', `max-age=10, ${word}`],
      ['ETag', '"a"'],
    ]);
    assert.equal(reuse(strict, 11, 'max-stale'), 'validate', word);
    assert.equal(mayReplaceError(strict, NOW + 11_000), false, word);
  }
  const said = store([['Cache-Control', 's-maxage=10, stale-while-revalidate=5']]);
  assert.equal(reuse(said, 11), 'revalidating', 'the origin said so in so many words');
});

for (const [asked, seconds, expected] of [
  ['no-cache', 0, 'validate'],
  ['max-age=0', 0, 'validate'],
  ['max-age=5', 5, 'fresh'],
  ['max-age=5', 6, 'validate'],
  ['min-fresh=5', 4, 'fresh'],
  ['min-fresh=5', 6, 'validate'],
  ['max-stale=5', 15, 'stale'],
  ['max-stale=5', 16, 'validate'],
  ['max-stale', 1000, 'stale'],
] as const) {
  test(`answers a request with ${asked} after ${seconds} of 10 seconds: ${expected}`, () =>
    assert.equal(reuse(store([['Cache-Control', 'max-age=10']]), seconds, asked), expected));
}

test('suits a request with the same words only', () => {
  const stored = store(
    [
      ['Cache-Control', 'max-age=10'],
      ['Vary', 'A, B'],
    ],
    { ask: [['A', '1']] },
  );
  assert.equal(suits(stored, new FieldList([['a', '1']])), true);
  assert.equal(suits(stored, new FieldList([['a', '2']])), false);
  assert.equal(
    suits(
      stored,
      new FieldList([
        ['a', '1'],
        ['b', ''],
      ]),
    ),
    false,
  );
});

test('takes over what a 304 says, but not what belongs to the body', () => {
  const old = store([
    ['Cache-Control', 'max-age=10'],
    ['ETag', '"a"'],
    ['Content-Type', 'text/plain'],
    ['X-A', '1'],
    ['X-B', '1'],
  ]);
  const later = received(
    [
      ['Cache-Control', 'max-age=20'],
      ['Content-Type', 'text/html'],
      ['Content-Length', '7'],
      ['X-A', '2'],
    ],
    { status: 304, requestedAt: NOW + 11_000, receivedAt: NOW + 11_000 },
  );
  const fresh = freshened(old, later, policy);
  assert.equal(fresh.status, 200);
  assert.equal(fresh.lifetime, 20_000);
  assert.equal(new FieldList(fresh.fields).header('x-a'), '2');
  assert.equal(new FieldList(fresh.fields).header('x-b'), '1');
  assert.equal(new FieldList(fresh.fields).header('content-type'), 'text/plain');
  assert.equal(new FieldList(fresh.fields).header('content-length'), undefined);
  assert.equal(fresh.etag, '"a"');
});

// The same rules, written as a list of reasons not to use a response.
test('agrees with the rules written the other way round', () => {
  const flag = fc.boolean();
  const seconds = fc.option(fc.nat(20), { nil: undefined });
  const words = fc.record({
    maxAge: seconds,
    sMaxAge: seconds,
    noStore: flag,
    isPrivate: flag,
    isPublic: flag,
  });
  const more = fc.record({ noCache: flag, must: flag, etag: flag, authorized: flag, age: seconds });
  fc.assert(
    fc.property(words, more, fc.nat(30), (word, other, elapsed) => {
      const said = [
        word.maxAge !== undefined && `max-age=${word.maxAge}`,
        word.sMaxAge !== undefined && `s-maxage=${word.sMaxAge}`,
        word.noStore && 'no-store',
        word.isPrivate && 'private',
        word.isPublic && 'public',
        other.noCache && 'no-cache',
        other.must && 'must-revalidate',
      ].filter((one) => one !== false);
      const fields: Field[] = [['Cache-Control', said.join(', ')]];
      if (other.etag) fields.push(['ETag', '"a"']);
      if (other.age !== undefined) fields.push(['Age', String(other.age)]);
      const ask: Field[] = other.authorized ? [['Authorization', 'x']] : [];
      const { stored } = storing(fields, { ask });
      const usable =
        stored !== undefined && reuseOf(stored, parseCacheControl([]), NOW + elapsed * 1000) === 'fresh';

      const life = word.sMaxAge ?? word.maxAge ?? 0;
      const shareable = word.isPublic || other.must || word.sMaxAge !== undefined;
      const reasons = [
        word.noStore,
        word.isPrivate,
        other.noCache,
        other.authorized && !shareable,
        (other.age ?? 0) + elapsed >= life,
      ];
      assert.equal(usable, !reasons.includes(true));
      if (word.noStore || word.isPrivate) assert.equal(stored, undefined);
    }),
    { numRuns: 2000 },
  );
});
