import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Router, type RouterEntry } from './router.ts';

/** Accepts the subjects on its list. */
class Entry implements RouterEntry<string> {
  readonly id: string;
  readonly uris: readonly string[];
  readonly hosts: readonly string[];
  readonly priority: number;
  readonly subjects: readonly string[];

  constructor(
    id: string,
    uris: readonly string[],
    hosts: readonly string[] = [],
    priority = 0,
    subjects: readonly string[] = ['GET', 'PUT'],
  ) {
    this.id = id;
    this.uris = uris;
    this.hosts = hosts;
    this.priority = priority;
    this.subjects = subjects;
  }

  accepts(subject: string): boolean {
    return this.subjects.includes(subject);
  }
}

function routerOf(...entries: Entry[]): Router<string, Entry> {
  const router = new Router<string, Entry>();
  for (const entry of entries) router.add(entry);
  return router;
}

test('the exact host wins over wildcards, the longer wildcard over the shorter, any of them over none', () => {
  const router = routerOf(
    new Entry('none', ['/exact']),
    new Entry('wide', ['/*'], ['*.com']),
    new Entry('narrow', ['/*'], ['*.bar.com']),
    new Entry('exact', ['/*'], ['foo.bar.com']),
  );
  assert.equal(router.match('foo.bar.com', '/exact', 'GET')?.id, 'exact');
  assert.equal(router.match('a.foo.bar.com', '/exact', 'GET')?.id, 'narrow');
  assert.equal(router.match('bar.com', '/exact', 'GET')?.id, 'wide');
  assert.equal(router.match('com', '/exact', 'GET')?.id, 'none');
  assert.equal(router.match('com', '/other', 'GET'), undefined);
});

test('a class of hosts that refuses gives way to the next one', () => {
  const router = routerOf(
    new Entry('exact', ['/*'], ['a.com'], 0, ['PUT']),
    new Entry('wildcard', ['/x/*'], ['*.com']),
    new Entry('none', ['/*']),
  );
  assert.equal(router.match('a.com', '/x/1', 'PUT')?.id, 'exact');
  assert.equal(router.match('a.com', '/x/1', 'GET')?.id, 'wildcard');
  assert.equal(router.match('a.com', '/y', 'GET')?.id, 'none');
});

test('adding an entry of a known id replaces the old one', () => {
  const router = routerOf(new Entry('1', ['/old'], ['old.com']));
  assert.equal(router.hasHosts, true);
  router.add(new Entry('1', ['/new']));
  assert.equal(router.match('old.com', '/old', 'GET'), undefined);
  assert.equal(router.match('old.com', '/new', 'GET')?.id, '1');
  assert.deepEqual([router.hasHosts, router.size], [false, 1]);
  router.remove('1');
  router.remove('1');
  assert.equal(router.match('', '/new', 'GET'), undefined);
  assert.deepEqual([router.hasHosts, router.size], [false, 0]);
});

test('candidates come best first, each once, with the patterns by which they match', () => {
  const router = routerOf(
    new Entry('a', ['/x/*', '/x/:id'], ['*.com', 'a.com'], 0, []),
    new Entry('b', ['/x/1']),
    new Entry('c', ['/y']),
  );
  const found = [...router.candidates('a.com', '/x/1')].map(({ entry, host, uri }) => [entry.id, host, uri]);
  assert.deepEqual(found, [
    ['a', 'a.com', '/x/:id'],
    ['b', undefined, '/x/1'],
  ]);
});

interface Rank {
  readonly entry: Entry;
  /** Compared one after the other; the smaller is the better. */
  readonly keys: readonly (string | number)[];
}

/** How one uri matches: its kind, what it left unconsumed, and where it has literals. */
function rankUri(uri: string, path: string): (string | number)[] | undefined {
  const body = uri.replace(/\*\w*$/, '');
  const isPrefix = body !== uri;
  const source = body.replace(/[.*]/g, '\\$&').replace(/\/:[^/]+/g, '/([^/]+)(?=/|$)');
  const match = new RegExp(`^${source}${isPrefix ? '' : '$'}`, 'd').exec(path);
  if (!match) return undefined;
  const mask = match[0].split('').fill('L');
  for (const range of match.indices?.slice(1) ?? []) mask.fill('P', ...(range ?? []));
  const kind = isPrefix ? 2 : match.length > 1 ? 1 : 0;
  return [kind, -match[0].length, mask.join('')];
}

function rankHost(pattern: string, host: string): number | undefined {
  if (!pattern.startsWith('*')) return pattern === host ? -1000 : undefined;
  const suffix = pattern.slice(1);
  return host.endsWith(suffix) && host !== suffix ? -suffix.length : undefined;
}

function rankAll(entries: Iterable<Entry>, host: string, path: string): Entry[] {
  const ranks: Rank[] = [];
  for (const entry of entries) {
    const hosts = entry.hosts.length === 0 ? [1] : entry.hosts.map((pattern) => rankHost(pattern, host));
    for (const hostKey of hosts) {
      for (const uri of entry.uris) {
        const uriKeys = rankUri(uri, path);
        if (hostKey === undefined || !uriKeys) continue;
        ranks.push({ entry, keys: [hostKey, ...uriKeys, -entry.priority, entry.id] });
      }
    }
  }
  ranks.sort((a, b) => {
    const index = a.keys.findIndex((key, position) => key !== b.keys[position]);
    if (index < 0) return 0;
    // The last key is the id, of which the greater comes first.
    const smaller = a.keys[index] < b.keys[index];
    return smaller === index < a.keys.length - 1 ? -1 : 1;
  });
  return [...new Set(ranks.map(({ entry }) => entry))];
}

const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', 'c*d');
const uri = fc
  .tuple(
    fc.array(fc.oneof(segment, fc.constantFrom(':x', ':y', ':z')), { maxLength: 3 }),
    fc.constantFrom('', '', '/', '*', '/*', '/*rest'),
  )
  .map(([segments, end]) => `/${segments.join('/')}${end}`);
const hostPattern = fc.constantFrom(
  'a.com',
  'b.a.com',
  'c.b.a.com',
  '*.com',
  '*.a.com',
  '*.b.a.com',
  '*a.com',
);
const entry = fc
  .tuple(
    fc.constantFrom('r1', 'r10', 'r2', 'R3', 'r4', 'r5', 'r6', 'r7', 'r8', 'r9'),
    fc.array(uri, { minLength: 1, maxLength: 3 }),
    fc.oneof(fc.constant([]), fc.array(hostPattern, { maxLength: 3 })),
    fc.integer({ min: -1, max: 1 }),
    fc.subarray(['GET', 'PUT', 'POST']),
  )
  .map((fields) => new Entry(...fields));
const request = fc.record({
  host: fc.constantFrom('', 'com', 'a.com', 'b.a.com', 'c.b.a.com', 'd.c.b.a.com', 'xa.com', '.a.com'),
  path: fc.array(fc.oneof(segment, fc.constant('')), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  subject: fc.constantFrom('GET', 'PUT', 'POST'),
});
const step = fc.record({
  change: fc.oneof({ weight: 3, arbitrary: entry }, fc.constantFrom('r1', 'r2', 'R3', 'r4')),
  request,
});

test('through any sequence of changes, the match is that of regular expressions and sorting', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 25, size: 'max' }),
      fc.array(request, { maxLength: 10 }),
      (steps, requests) => {
        const router = new Router<string, Entry>();
        const standing = new Map<string, Entry>();
        const check = ({ host, path, subject }: { host: string; path: string; subject: string }) => {
          const expected = rankAll(standing.values(), host, path);
          assert.equal(
            router.match(host, path, subject),
            expected.find((each) => each.accepts(subject)),
          );
          assert.deepEqual(
            [...router.candidates(host, path)].map((each) => each.entry.id),
            expected.map(({ id }) => id),
          );
        };
        for (const { change, request } of steps) {
          if (typeof change === 'string') {
            router.remove(change);
            standing.delete(change);
          } else {
            router.add(change);
            standing.set(change.id, change);
          }
          check(request);
        }
        requests.forEach(check);
        assert.equal(router.size, standing.size);
      },
    ),
    { numRuns: 500 },
  );
});

test('the order of adding makes no difference', () => {
  fc.assert(
    fc.property(
      fc
        .uniqueArray(entry, { selector: ({ id }) => id })
        .chain((entries) =>
          fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length })),
        ),
      fc.array(request, { minLength: 5, maxLength: 5 }),
      ([entries, shuffled], requests) => {
        const [one, other] = [routerOf(...entries), routerOf(...shuffled)];
        for (const { host, path, subject } of requests) {
          assert.equal(one.match(host, path, subject), other.match(host, path, subject));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('a change among 100 000 entries leaves the others as they are', () => {
  const router = new Router<string, Entry>();
  let asked = 0;
  class Counting extends Entry {
    override accepts(): boolean {
      asked += 1;
      return true;
    }
  }
  for (let index = 0; index < 100_000; index++) router.add(new Counting(`${index}`, [`/service${index}/*`]));
  router.add(new Counting('5', ['/moved/:id']));
  assert.equal(router.match('', '/service5/x', ''), undefined);
  assert.equal(router.match('', '/moved/x', '')?.id, '5');
  assert.equal(router.match('', '/service99999/x', '')?.id, '99999');
  assert.equal(router.match('', '/service50/x', '')?.id, '50');
  assert.equal(asked, 3, 'no entry was asked whose pattern does not match');
});
