import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { WrittenResource } from '../../model/configuration.ts';
import { Snapshot } from '../../model/snapshot.ts';
import { diff } from './diff.ts';

function route(id: string, uri: string): WrittenResource {
  return { kind: 'routes', id, value: { id, uri } };
}

/** A Snapshot at revision 1 with these resources. */
function snapshotOf(...resources: WrittenResource[]): Snapshot {
  const snapshot = new Snapshot();
  const change = diff(snapshot, resources, 1);
  if (change !== undefined) snapshot.apply(change);
  return snapshot;
}

test('puts what is new, at the new revision, frozen', () => {
  const change = diff(snapshotOf(), [route('a', '/a')], 7);
  assert.deepEqual(change, {
    revision: 7,
    removals: [],
    puts: [
      {
        kind: 'routes',
        id: 'a',
        workspace: 'default',
        createdRevision: 7,
        modifiedRevision: 7,
        value: { id: 'a', uri: '/a' },
      },
    ],
  });
  assert.ok(Object.isFrozen(change?.puts[0]) && Object.isFrozen(change?.puts[0].value));
});

test('keeps the revision of creation of what is changed, and leaves out what is not', () => {
  const change = diff(
    snapshotOf(route('a', '/a'), route('b', '/b')),
    [route('b', '/b'), route('a', '/c')],
    2,
  );
  assert.deepEqual(
    change?.puts.map(({ id, createdRevision, modifiedRevision }) => [id, createdRevision, modifiedRevision]),
    [['a', 1, 2]],
  );
  assert.deepEqual(change?.removals, []);
});

test('removes what is gone', () => {
  const change = diff(snapshotOf(route('a', '/a'), route('b', '/b')), [route('b', '/b')], 2);
  assert.deepEqual(change, { revision: 2, puts: [], removals: [{ kind: 'routes', id: 'a' }] });
});

test('is nothing when all stays the same, whatever the order of members', () => {
  const snapshot = snapshotOf({ kind: 'routes', id: 'a', value: { id: 'a', plugins: { x: {}, y: [1] } } });
  assert.equal(
    diff(snapshot, [{ kind: 'routes', id: 'a', value: { plugins: { y: [1], x: {} }, id: 'a' } }], 2),
    undefined,
  );
});

test('leads from any configuration to any other', () => {
  const resources = fc.uniqueArray(
    fc.record({
      kind: fc.constantFrom('routes' as const, 'upstreams' as const),
      id: fc.constantFrom('a', 'b', 'c', 'd'),
      value: fc.record({ uri: fc.constantFrom('/1', '/2') }),
    }),
    { selector: ({ kind, id }) => `${kind} ${id}` },
  );
  const content = (all: readonly WrittenResource[]) =>
    all.map(({ kind, id, value }) => `${kind} ${id} ${JSON.stringify(value)}`).sort();
  fc.assert(
    fc.property(resources, resources, (before, after) => {
      const snapshot = snapshotOf(...before);
      const change = diff(snapshot, after, 2);
      if (change !== undefined) snapshot.apply(change);
      assert.deepEqual(content(snapshot.all()), content(after));
      assert.equal(change === undefined, content(before).join() === content(after).join());
    }),
  );
});
