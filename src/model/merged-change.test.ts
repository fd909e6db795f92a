import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Change } from './change.ts';
import { mergedChange } from './merged-change.ts';
import type { Kind, Resource } from './resource.ts';
import { Snapshot } from './snapshot.ts';
import { SnapshotDigest } from './snapshot-digest.ts';

const kinds: readonly Kind[] = ['routes', 'upstreams'];
const someKey = fc.record({ kind: fc.constantFrom(...kinds), id: fc.constantFrom('a', 'b', 'c', 'd') });
const someChanges = fc
  .array(
    fc.record({ removals: fc.array(someKey, { maxLength: 3 }), puts: fc.array(someKey, { maxLength: 3 }) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  )
  .map((steps) =>
    steps.map(({ removals, puts }, index): Change => {
      const revision = index + 1;
      return { revision, removals, puts: puts.map((key) => made(key, revision)) };
    }),
  );

function made({ kind, id }: { kind: Kind; id: string }, revision: number): Resource {
  const value = { id, revision };
  return { kind, id, workspace: 'default', createdRevision: 1, modifiedRevision: revision, value };
}

test('a merged Change leads where the Changes lead one after the other', () => {
  fc.assert(
    fc.property(someChanges, fc.nat(7), (changes, standing) => {
      const [stepwise, atOnce] = [new Snapshot(), new Snapshot()];
      for (const change of changes.slice(0, standing))
        for (const one of [stepwise, atOnce]) one.apply(change);
      const rest = changes.slice(standing);
      if (rest.length === 0) return;
      for (const change of rest) stepwise.apply(change);
      atOnce.apply(mergedChange(rest));
      assert.deepEqual(atOnce.all(), stepwise.all());
      assert.equal(atOnce.revision, stepwise.revision);
    }),
  );
});

test('a digest is the same exactly for the same resources, however they came', () => {
  fc.assert(
    fc.property(someChanges, someChanges, (left, right) => {
      const [first, second] = [left, right].map((changes) => {
        const [snapshot, digest] = [new Snapshot(), new SnapshotDigest()];
        for (const change of changes) {
          // One that was tried and taken back leaves nothing behind.
          digest.apply({ ...change, removals: [...kinds.map((kind) => ({ kind, id: 'a' }))] })();
          digest.apply(change);
          snapshot.apply(change);
        }
        const anew = new SnapshotDigest();
        anew.apply({ revision: 1, removals: [], puts: snapshot.all().toReversed() });
        assert.equal(digest.text, anew.text);
        const content = JSON.stringify(
          snapshot
            .all()
            .map((one) => JSON.stringify(one))
            .toSorted(),
        );
        return { content, digest: digest.text };
      });
      assert.equal(first.digest === second.digest, first.content === second.content);
    }),
  );
});
