import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { Change } from '../model/change.ts';
import type { Kind, Resource } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import { type SharedStore, type StoreContent, StoreMovedError } from '../model/store.ts';
import { change, resource } from './store.conformance.ts';

/** A place that several Stores may have open at once, empty at first. */
export interface SharedPlace {
  open(): Promise<SharedStore>;
  /** Forgets how the place came to its content, as old steps are forgotten. */
  forgetSteps(): Promise<void>;
  /** Puts the content back to what it was at `keep`, as a backup does. */
  keep(): Promise<() => Promise<void>>;
  remove(): Promise<void>;
}

/** A process that holds a Snapshot of what its Store keeps. */
class Member {
  readonly store: SharedStore;
  readonly snapshot = new Snapshot();
  readonly taken: ('step' | 'all')[] = [];

  private constructor(store: SharedStore) {
    this.store = store;
  }

  static async join(place: SharedPlace): Promise<Member> {
    const member = new Member(await place.open());
    member.#take(await member.store.load());
    member.taken.length = 0;
    return member;
  }

  catchUp(): Promise<void> {
    return this.store.catchUp((step) => this.#take(step));
  }

  async write(puts: readonly Resource[], removals: Change['removals'] = []): Promise<void> {
    const next = change(this.snapshot.revision + 1, puts, removals);
    await this.store.write(next);
    this.snapshot.apply(next);
  }

  get content(): unknown {
    return [this.snapshot.revision, this.snapshot.all()];
  }

  #take(step: Change | StoreContent): void {
    this.taken.push('puts' in step ? 'step' : 'all');
    if ('puts' in step) return this.snapshot.apply(step);
    const removals = this.snapshot.all().map(({ kind, id }) => ({ kind, id }));
    this.snapshot.apply({ revision: step.revision, puts: step.resources, removals });
  }
}

/** What holds for every Store that several processes share, besides what holds for every Store. */
export function sharedStoreConformance(name: string, makePlace: () => Promise<SharedPlace>): void {
  function together(title: string, run: (members: Member[], place: SharedPlace) => Promise<void>): void {
    test(title, async () => {
      const place = await makePlace();
      const members: Member[] = [];
      try {
        for (let count = 0; count < 3; count++) members.push(await Member.join(place));
        await run(members, place);
      } finally {
        for (const { store } of members) await store.close();
        await place.remove();
      }
    });
  }

  describe(`${name}, shared by several`, () => {
    together('tells what others wrote, step by step and once', async ([left, right]) => {
      await left.write([resource(1, 'a'), resource(1, 'b')]);
      await left.write([], [{ kind: 'routes', id: 'a' }]);
      await right.catchUp();
      assert.deepEqual(right.content, left.content);
      assert.deepEqual(right.taken, ['step', 'step']);
      await right.catchUp();
      await left.catchUp();
      assert.deepEqual([right.taken.length, left.taken.length], [2, 0]);
    });

    together('calls those who watch when somebody wrote', async ([left, right, third]) => {
      const called = [right, third].map(({ store }) => new Promise<void>((resolve) => store.watch(resolve)));
      await left.write([resource(1, 'a')]);
      await Promise.all(called);
      await right.catchUp();
      assert.deepEqual(right.content, left.content);
    });

    together('keeps nothing of what was planned on an older revision', async ([left, right]) => {
      await left.write([resource(1, 'a')]);
      await assert.rejects(right.write([resource(1, 'b')]), StoreMovedError);
      // Also where the numbers would fit.
      await assert.rejects(right.store.write(change(9, [resource(9, 'b')])), StoreMovedError);
      await right.catchUp();
      await right.write([resource(2, 'b')]);
      await left.catchUp();
      assert.deepEqual(left.content, right.content);
      assert.deepEqual(
        left.snapshot.all().map(({ id }) => id),
        ['a', 'b'],
      );
    });

    together('stands where it stood when what it hands over is not taken', async ([left, right]) => {
      await left.write([resource(1, 'a')]);
      await left.write([resource(2, 'b')]);
      const failure = new Error('not this one');
      await assert.rejects(
        right.store.catchUp(() => {
          throw failure;
        }),
        failure,
      );
      await assert.rejects(right.write([resource(1, 'c')]), StoreMovedError);
      await right.catchUp();
      assert.deepEqual(right.content, left.content);
    });

    together('hands over everything where the steps are forgotten', async ([left, right], place) => {
      await left.write([resource(1, 'a')]);
      await place.forgetSteps();
      await left.write([resource(2, 'b')]);
      await right.catchUp();
      assert.deepEqual(right.taken, ['all']);
      assert.deepEqual(right.content, left.content);
      await left.write([resource(3, 'c')]);
      await right.catchUp();
      assert.deepEqual(right.taken, ['all', 'step']);
      assert.deepEqual(right.content, left.content);
    });

    together('notices another history, also one that is as long', async ([left, right, third], place) => {
      await left.write([resource(1, 'a')]);
      await third.catchUp();
      const restore = await place.keep();
      await left.write([resource(2, 'lost')]);
      await right.catchUp();
      await restore();
      await third.write([resource(2, 'instead')]);
      for (const member of [left, right]) {
        await assert.rejects(member.write([resource(3, 'b')]), StoreMovedError);
        await member.catchUp();
        assert.deepEqual(member.content, third.content);
      }
    });

    together('goes back with a place that went back', async ([left, right], place) => {
      const restore = await place.keep();
      await left.write([resource(1, 'lost')]);
      await right.catchUp();
      await restore();
      await right.catchUp();
      assert.deepEqual(right.content, [0, []]);
    });

    together('gives all writes one order, whoever writes', async (members) => {
      const kinds: readonly Kind[] = ['routes', 'upstreams'];
      const someKey = fc.record({ kind: fc.constantFrom(...kinds), id: fc.constantFrom('a', 'b', 'c') });
      let kept = 0;
      let moved = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ put: someKey, remove: someKey }), { minLength: 4, maxLength: 12 }),
          async (steps) => {
            const lane = async (member: Member, own: typeof steps): Promise<void> => {
              for (const { put, remove } of own) {
                for (;;) {
                  const revision = member.snapshot.revision + 1;
                  try {
                    await member.write([resource(revision, put.id, { kind: put.kind })], [remove]);
                    kept++;
                    break;
                  } catch (error) {
                    assert.ok(error instanceof StoreMovedError, String(error));
                    moved++;
                    await member.catchUp();
                  }
                  await turn();
                }
              }
            };
            const before = members[0].snapshot.revision;
            await Promise.all(members.map((member, index) => lane(member, steps.slice(index % 2))));
            for (const member of members) await member.catchUp();
            const written = 2 * steps.length + (steps.length - 1);
            assert.equal(members[0].snapshot.revision, before + written);
            for (const member of members) assert.deepEqual(member.content, members[0].content);
            const { revision, resources } = await members[0].store.load();
            const inStore = kinds.flatMap((kind) => resources.filter((one) => one.kind === kind));
            assert.deepEqual([revision, inStore], members[0].content);
          },
        ),
        { numRuns: 6 },
      );
      assert.ok(kept > 20 && moved > 0, `${kept} kept, ${moved} refused: nothing was shown`);
    });
  });
}
