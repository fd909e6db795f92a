import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Purge } from '../../plugin/cache.ts';
import { concerns, RecentPurges } from './recent-purges.ts';

const entry = (resource: string, tags: readonly string[], requestedAt: number) => ({
  resource,
  tags,
  response: { requestedAt } as never,
});

test('knows of each purge whether it came after a response was asked for', () => {
  const purge = fc.record({
    by: fc.constantFrom<Purge['by']>('resource', 'prefix', 'tag'),
    value: fc.constantFrom('a', 'a/b', 'b'),
    at: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(purge), fc.constantFrom('a', 'a/b', 'b'), fc.nat(1000), (purges, name, since) => {
      const recent = new RecentPurges(5000);
      for (const { at, ...what } of purges) recent.note(what, at);
      const one = entry(name, [name], since);
      // The very beginning of time is before everything.
      const expected = since === 0 || purges.some(({ at, ...what }) => at >= since && concerns(what, one));
      assert.equal(recent.concern(one), expected);
    }),
  );
});

test('doubts everything from before when there were more purges than it remembers', () => {
  const recent = new RecentPurges();
  for (let at = 1; at <= 10_005; at++) recent.note({ by: 'resource', value: String(at) }, at);
  assert.equal(recent.concern(entry('x', [], 5)), true);
  assert.equal(recent.concern(entry('x', [], 6)), false);
});

test('forgets what was long ago', () => {
  const recent = new RecentPurges(1000);
  recent.note({ by: 'tag', value: 't' }, 10);
  recent.note({ by: 'tag', value: 'u' }, 2000);
  assert.equal(recent.concern(entry('x', ['t'], 5)), false, 'nothing is under way for so long');
});
