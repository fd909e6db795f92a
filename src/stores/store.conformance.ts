import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Change, Removal } from '../model/change.ts';
import type { Kind, Resource, Revision, Value } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import type { Store } from '../model/store.ts';

/** A place that keeps what a Store was given, empty at first. */
export interface StorePlace {
  /** Opens a Store on this place; the one before is closed. */
  open(): Promise<Store>;
  /** Frees what the place takes, after the last Store was closed. */
  remove(): Promise<void>;
}

/** A resource as the revision made it. */
export function resource(revision: Revision, id: string, overrides: Partial<Resource> = {}): Resource {
  return {
    kind: 'routes',
    id,
    workspace: 'default',
    createdRevision: revision,
    modifiedRevision: revision,
    value: { id, uri: `/${id}`, made: revision },
    ...overrides,
  };
}

export function change(
  revision: Revision,
  puts: readonly Resource[],
  removals: readonly Removal[] = [],
): Change {
  return { revision, puts, removals };
}

/** What holds for every Store. Run it with a function that makes new places. */
export function storeConformance(name: string, makePlace: () => Promise<StorePlace>): void {
  /** Writes with one Store and tells what the next one finds. */
  async function afterwards(write: (store: Store) => Promise<unknown>) {
    const place = await makePlace();
    let store: Store | undefined;
    const close = () => {
      const closing = store;
      store = undefined;
      return closing?.close();
    };
    try {
      store = await place.open();
      assert.deepEqual(await store.load(), { revision: 0, resources: [] });
      await write(store);
      await close();
      store = await place.open();
      return await store.load();
    } finally {
      // Also after a failure, as an open Store may keep the test's process alive.
      await close();
      await place.remove();
    }
  }

  describe(`${name}, as any Store`, () => {
    test('holds nothing at revision 0 until something was written', async () => {
      assert.deepEqual(await afterwards(async () => {}), { revision: 0, resources: [] });
    });

    test('gives resources back as they were, in the order of their creation', async () => {
      const written = [
        resource(1, 'z', { value: { id: 'z', nested: { list: [1, 2.5, null, true, 'ü€😀\u0000"\\'] } } }),
        resource(1, 'a', { workspace: 'team-a', expiresAt: 1_900_000_000_123 }),
        // What `?ttl=0.0005` leads to.
        resource(1, 'b', { expiresAt: 1_900_000_000_123.5 }),
        resource(1, 'jack/key', { kind: 'credentials', createdRevision: 1, modifiedRevision: 1 }),
        resource(1, 'z', { kind: 'upstreams' }),
        resource(1, 'ü', { value: JSON.parse('{"b": 1, "a": 2, "__proto__": 3}') }),
      ];
      const { revision, resources } = await afterwards((store) => store.write(change(1, written)));
      assert.equal(revision, 1);
      assert.deepEqual(resources, written);
      // The Admin API shows properties in the order in which they were sent.
      assert.deepEqual(
        resources.map((one) => JSON.stringify(one.value)),
        written.map((one) => JSON.stringify(one.value)),
      );
    });

    test('replaces a resource whole and in its place', async () => {
      const first = [resource(1, 'a', { expiresAt: 1_900_000_000_000 }), resource(1, 'b')];
      const again = resource(2, 'a', { createdRevision: 1, workspace: 'other', value: { id: 'a' } });
      const { resources } = await afterwards(async (store) => {
        await store.write(change(1, first));
        await store.write(change(2, [again]));
      });
      assert.deepEqual(resources, [again, first[1]]);
      assert.ok(!('expiresAt' in resources[0]) || resources[0].expiresAt === undefined);
    });

    test('removes what a Change removes, of that kind only, before it puts', async () => {
      const removals = [
        { kind: 'routes', id: 'a' },
        { kind: 'routes', id: 'b' },
        { kind: 'routes', id: 'never there' },
      ] as const;
      const kept = [resource(1, 'a', { kind: 'services' }), resource(1, 'c')];
      const { revision, resources } = await afterwards(async (store) => {
        await store.write(change(1, [resource(1, 'a'), resource(1, 'b'), ...kept]));
        await store.write(change(2, [resource(2, 'b')], removals));
      });
      assert.equal(revision, 2);
      assert.deepEqual(resources, [...kept, resource(2, 'b')]);
    });

    test('keeps the revision of a Change that has nothing in it', async () => {
      assert.equal((await afterwards((store) => store.write(change(7, [])))).revision, 7);
    });

    test('refuses a Change that is no newer than its content', async () => {
      const { revision, resources } = await afterwards(async (store) => {
        await store.write(change(5, [resource(5, 'a')]));
        for (const stale of [5, 4])
          await assert.rejects(store.write(change(stale, [resource(stale, 'b')])), Error);
        await store.write(change(6, [resource(6, 'c')]));
      });
      assert.equal(revision, 6);
      assert.deepEqual(resources, [resource(5, 'a'), resource(6, 'c')]);
    });

    test('keeps nothing of a Change that it can not keep whole, and all others beside it', async () => {
      const unfit: Value = { id: 'unfit', count: 1n };
      const { revision, resources } = await afterwards(async (store) => {
        await store.write(change(1, [resource(1, 'a')]));
        const outcomes = await Promise.allSettled([
          store.write(change(2, [resource(2, 'b')])),
          store.write(
            change(
              3,
              [resource(3, 'c'), resource(3, 'unfit', { value: unfit })],
              [{ kind: 'routes', id: 'a' }],
            ),
          ),
          store.write(change(2, [resource(2, 'stale')], [{ kind: 'routes', id: 'a' }])),
          store.write(change(4, [resource(4, 'd')])),
        ]);
        assert.deepEqual(
          outcomes.map((one) => one.status),
          ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
        );
      });
      assert.equal(revision, 4);
      assert.deepEqual(
        resources.map((one) => one.id),
        ['a', 'b', 'd'],
      );
    });

    test('keeps Changes in the order of the calls, however many at once', async () => {
      const acknowledged: number[] = [];
      const { revision, resources } = await afterwards((store) =>
        Promise.all(
          Array.from({ length: 1000 }, async (_, index) => {
            const next = index + 1;
            await store.write(
              change(next, [resource(next, 'same', { createdRevision: 1 }), resource(next, `${next}`)]),
            );
            acknowledged.push(next);
          }),
        ),
      );
      assert.equal(revision, 1000);
      assert.equal(resources.length, 1001);
      assert.equal(resources[0].modifiedRevision, 1000);
      assert.deepEqual(
        acknowledged,
        acknowledged.toSorted((a, b) => a - b),
      );
    });

    test('finishes what was begun before close', async () => {
      const begun: Promise<void>[] = [];
      const { revision } = await afterwards(async (store) => {
        for (let next = 1; next <= 20; next++)
          begun.push(store.write(change(next, [resource(next, `${next}`)])));
      });
      await Promise.all(begun);
      assert.equal(revision, 20);
    });

    test('takes a Change of many resources', async () => {
      const puts = Array.from({ length: 5000 }, (_, index) => resource(1, `r${index}`));
      const { resources } = await afterwards((store) => store.write(change(1, puts)));
      assert.deepEqual(resources, puts);
    });

    test('holds what a Snapshot holds after the same Changes', async () => {
      const kinds: readonly Kind[] = ['routes', 'consumers'];
      const someKey = fc.record({ kind: fc.constantFrom(...kinds), id: fc.constantFrom('a', 'b', 'c', 'd') });
      const someValue = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 });
      const someStep = fc.record({
        puts: fc.array(fc.tuple(someKey, someValue), { maxLength: 4 }),
        removals: fc.array(someKey, { maxLength: 3 }),
        /** Whether the next Change waits for this one. */
        waits: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(someStep, { maxLength: 12 }), async (steps) => {
          const snapshot = new Snapshot();
          const { revision, resources } = await afterwards(async (store) => {
            const writes: Promise<void>[] = [];
            for (const [index, step] of steps.entries()) {
              const puts = step.puts.map(([{ kind, id }, value]) =>
                // As JSON has it, which knows no -0.
                resource(index + 1, id, { kind, value: JSON.parse(JSON.stringify(value)) }),
              );
              const next = change(index + 1, puts, step.removals);
              snapshot.apply(next);
              writes.push(store.write(next));
              if (step.waits) await writes.at(-1);
            }
            await Promise.all(writes);
          });
          assert.equal(revision, snapshot.revision);
          for (const kind of kinds) {
            const found = resources.filter((one) => one.kind === kind);
            assert.deepEqual(found, [...snapshot.list(kind)]);
          }
        }),
        { numRuns: 8 },
      );
    });
  });
}
