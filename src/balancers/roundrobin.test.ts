import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { balancerConformance, OPTIONS, subject, target, testState } from './balancer.conformance.ts';
import { roundrobin, smoothSequence } from './roundrobin.ts';

balancerConformance(roundrobin);

function picks(weights: readonly number[], count: number): string {
  const targets = weights.map((weight, i) => target('abcdefgh'[i], weight));
  const balancer = roundrobin.create(targets, OPTIONS, testState().state);
  return Array.from({ length: count }, () => balancer.pick(subject(), [])?.host).join('');
}

test('interleaves by weight as nginx does', () => {
  assert.equal(picks([5, 1, 1], 14), 'aabacaaaabacaa');
  assert.equal(picks([3, 1], 8), 'aabaaaba');
  assert.equal(picks([200, 100], 6), 'abaaba');
});

test('workers that share the ticket share the turns', () => {
  const { state } = testState();
  const targets = [target('a', 2), target('b', 1)];
  const one = roundrobin.create(targets, OPTIONS, state);
  const other = roundrobin.create(targets, OPTIONS, state);
  const hosts = Array.from({ length: 6 }, (_, i) => (i % 2 ? one : other).pick(subject(), [])?.host);
  assert.equal(hosts.join(''), 'abaaba');
});

test('a rebuild goes on where the turns were', () => {
  const { state } = testState();
  const targets = [target('a'), target('b'), target('c')];
  roundrobin.create(targets, OPTIONS, state).pick(subject(), []);
  assert.equal(roundrobin.create(targets, OPTIONS, state).pick(subject(), [])?.host, 'b');
});

test('every Target gets its weight in each turn, and no more than its share in a row', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }), (weights) => {
      const sum = weights.reduce((a, b) => a + b);
      const counts = weights.map(() => 0);
      smoothSequence(weights, sum).forEach((index, step) => {
        counts[index]++;
        // Smoothness: never further from the exact share than there are other Targets.
        weights.forEach((weight, i) => {
          assert.ok(Math.abs(counts[i] - ((step + 1) * weight) / sum) < weights.length);
        });
      });
      assert.deepEqual(counts, weights);
    }),
  );
});

test('keeps to weights whose turn is too long to work out in advance', () => {
  const hosts = picks([999_983, 1_999_969], 3000);
  const share = hosts.split('a').length - 1;
  assert.ok(Math.abs(share - 1000) <= 2, `a got ${share} of 3000`);
});
