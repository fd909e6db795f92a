import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PathTree } from './path-tree.ts';

interface Entry {
  readonly id: string;
  readonly priority: number;
  accepts(refused: string): boolean;
}

function entry(id: string, priority = 0): Entry {
  return { id, priority, accepts: (refused) => refused !== id };
}

function treeOf(...patterns: string[]): PathTree<string, Entry> {
  const tree = new PathTree<string, Entry>();
  for (const pattern of patterns) tree.add(pattern, entry(pattern));
  return tree;
}

/** The patterns that match, best first. */
function matching(tree: PathTree<string, Entry>, path: string): string[] {
  return tree.matching(path).flatMap(({ entries }) => entries.map(({ id }) => id));
}

test('exact comes before parameters, parameters before prefixes, the longest prefix first', () => {
  const tree = treeOf('/*', '/a/*', '/a/:x', '/:x/b', '/a/b', '/a/b*', '*', '/:x/:y', '/:x*', '/a/:x*');
  assert.deepEqual(matching(tree, '/a/b'), [
    '/a/b',
    '/a/:x',
    '/:x/b',
    '/:x/:y',
    '/a/b*',
    '/a/:x*',
    '/a/*',
    '/:x*',
    '/*',
    '*',
  ]);
});

test('a star matches the empty rest, and stands in the middle of a segment', () => {
  const tree = treeOf('/foo*', '/a/*');
  assert.deepEqual(matching(tree, '/foo'), ['/foo*']);
  assert.deepEqual(matching(tree, '/foobar/x'), ['/foo*']);
  assert.deepEqual(matching(tree, '/fo'), []);
  assert.deepEqual(matching(tree, '/a/'), ['/a/*']);
  assert.deepEqual(matching(tree, '/a'), []);
});

test('a prefix that consumed more wins over one with a literal further left', () => {
  const tree = treeOf('/a/b*', '/:x/bcd*');
  assert.deepEqual(matching(tree, '/a/bcde'), ['/:x/bcd*', '/a/b*']);
});

test('a parameter is never empty', () => {
  const tree = treeOf('/a/:x/b', '/a/:x');
  assert.deepEqual(matching(tree, '/a//b'), []);
  assert.deepEqual(matching(tree, '/a/'), []);
});

test('who refuses makes way for the next; among equals priority decides, then the id', () => {
  const tree = new PathTree<string, Entry>();
  for (const [id, priority] of [
    ['c', 0],
    ['b', 0],
    ['a', -1],
    ['d', 5],
  ] as const) {
    tree.add('/x/:p', entry(id, priority));
  }
  tree.add('/x/*', entry('z', 99));
  assert.deepEqual(matching(tree, '/x/1'), ['d', 'c', 'b', 'a', 'z']);
  assert.equal(tree.find('/x/1', '')?.id, 'd');
  assert.equal(tree.find('/x/1', 'd')?.id, 'c');
  assert.equal(tree.find('/y', ''), undefined);
});

const pattern = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'ab', 'abc', 'b', ':x', ':y'), { maxLength: 3 }),
    fc.constantFrom('', '/', '*', '/*', '/*rest'),
  )
  .map(([segments, end]) => `/${segments.join('/')}${end}`);

test('after any coming and going a tree is that of those who stayed, and empty after the last', () => {
  const path = fc.array(fc.constantFrom('a', 'ab', 'abc', 'b', 'c', ''), { maxLength: 3 });
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 12 }),
      fc.array(pattern, { maxLength: 12 }),
      fc.array(path, { minLength: 5, maxLength: 5 }),
      (staying, leaving, paths) => {
        const tree = treeOf();
        const guests = leaving.map((text, index) => [text, entry(`guest ${index}`)] as const);
        for (const [text, guest] of guests.slice(0, 6)) tree.add(text, guest);
        for (const text of staying) tree.add(text, entry(text));
        for (const [text, guest] of guests.slice(6)) tree.add(text, guest);
        for (const [text, guest] of guests) tree.remove(text, guest);
        const fresh = treeOf(...staying);
        for (const segments of paths) {
          const text = `/${segments.join('/')}`;
          tree.visits = fresh.visits = 0;
          assert.deepEqual(matching(tree, text), matching(fresh, text));
          assert.equal(tree.visits, fresh.visits, 'the edges are joined again');
        }
        for (const text of staying) tree.remove(text, entry(text));
        assert.equal(tree.isEmpty, true);
      },
    ),
    { numRuns: 500 },
  );
});

test('removing what is not there changes nothing', () => {
  const tree = treeOf('/abc*', '/a/:x/b');
  for (const text of ['/ab*', '/abcd*', '/abc', '/a/:x', '/a/:x/:y', '/z/:x']) tree.remove(text, entry(text));
  tree.remove('/abc*', entry('someone else'));
  assert.deepEqual(matching(tree, '/abc'), ['/abc*']);
  assert.deepEqual(matching(tree, '/a/1/b'), ['/a/:x/b']);
});

/** The most nodes that one search has visited, among searches that found what they should. */
function mostVisits(count: number): number {
  const tree = new PathTree<string, Entry>();
  for (let index = 0; index < count; index++) {
    const service = `/team${index % 10}/service${index}`;
    const kinds = [`${service}/*`, `${service}/items/:id`, `${service}/ping`, `/:tenant${service}/:id/x*`];
    tree.add(kinds[index % 4], entry(`${index}`));
  }
  let most = 0;
  for (let index = 0; index < count; index += Math.ceil(count / 100)) {
    const service = `/team${index % 10}/service${index}`;
    const paths = [`${service}/any`, `${service}/items/5`, `${service}/ping`, `/acme${service}/6/xyz`];
    tree.visits = 0;
    assert.equal(tree.find(paths[index % 4], '')?.id, `${index}`);
    most = Math.max(most, tree.visits);
  }
  return most;
}

test('a search among 100 000 patterns visits no more than a few nodes', () => {
  const few = mostVisits(1000);
  const many = mostVisits(100_000);
  // Each digit of the names can add an edge on the literal way and one below the parameter.
  assert.ok(many <= few + 4, `${many} nodes visited among 100 000 patterns, ${few} among 1 000`);
  assert.ok(many <= 24, `${many} nodes visited`);
});
