import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { shareByKey } from './share-by-key.ts';

const keys = Array.from({ length: 20_000 }, (_, index) => `user-${index}`);

test('gives each its share of the keys', () => {
  for (const weights of [
    [1, 9],
    [50, 50],
    [1, 2, 7],
    [0, 5, 5],
  ]) {
    const counts = weights.map(() => 0);
    for (const key of keys) counts[shareByKey(key, weights)]++;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, index) => {
      const expected = (weight / total) * keys.length;
      assert.ok(Math.abs(counts[index] - expected) < 400, `${counts} for ${weights}`);
    });
  }
});

test('moves keys only to the one whose weight is raised', () => {
  const weight = fc.integer({ min: 0, max: 100 });
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 1, maxLength: 5 }),
      fc.nat(4),
      fc.nat(100),
      fc.string(),
      (before, at, more, key) => {
        const raised = at % before.length;
        const after = before.map((weight, index) => (index === raised ? weight + more : weight));
        const [old, now] = [shareByKey(key, before), shareByKey(key, after)];
        assert.ok(now === old || now === raised);
        assert.equal(
          now === -1,
          after.every((weight) => weight === 0),
        );
      },
    ),
  );
});

test('keeps who has come when a canary grows at the cost of the rest', () => {
  let inside = new Set<string>();
  for (let percent = 0; percent <= 100; percent += 10) {
    const now = new Set(keys.slice(0, 2000).filter((key) => shareByKey(key, [percent, 100 - percent]) === 0));
    for (const key of inside) assert.ok(now.has(key));
    inside = now;
  }
  assert.equal(inside.size, 2000);
});
