import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balancerConformance, OPTIONS, subject, target, testState } from './balancer.conformance.ts';
import type { Target } from './balancer.ts';
import { ewma } from './ewma.ts';

balancerConformance(ewma);

test('shifts four fifths of the traffic away from a Target that is ten times slower', () => {
  const { state, clock } = testState();
  const balancer = ewma.create([target('slow'), target('quick')], OPTIONS, state);
  const counts: Record<string, number> = { slow: 0, quick: 0 };
  for (let i = 0; i < 1000; i++) {
    const picked = balancer.pick(subject(), [])!;
    counts[picked.host]++;
    clock.now += 10;
    balancer.started?.(picked);
    balancer.finished?.(picked, picked.host === 'slow' ? 100 : 10, false);
  }
  assert.ok(counts.slow <= 200, `slow got ${counts.slow} of 1000`);
});

test('comes back to a Target whose bad days are long past', () => {
  const { state, clock } = testState();
  const [a, b] = [target('a'), target('b')];
  const balancer = ewma.create([a, b], OPTIONS, state);
  balancer.finished?.(a, 500, false);
  balancer.finished?.(b, 5, false);
  assert.equal(balancer.pick(subject(), []), b);
  for (let i = 0; i < 10; i++) {
    clock.now += 10_000;
    balancer.finished?.(b, 5, false);
  }
  assert.equal(balancer.pick(subject(), []), a);
});

test('holds a failure for slow, however fast it came', () => {
  const { state } = testState();
  const [a, b] = [target('a'), target('b')];
  const balancer = ewma.create([a, b], OPTIONS, state);
  balancer.finished?.(a, 0.2, true);
  balancer.finished?.(b, 50, false);
  assert.equal(balancer.pick(subject(), []), b);
});

test('turns away from a Target that hangs before it has answered anything', () => {
  const { state } = testState();
  const balancer = ewma.create([target('a'), target('b')], OPTIONS, state);
  const under: Target[] = [];
  for (let i = 0; i < 10; i++) {
    const picked = balancer.pick(subject(), [])!;
    balancer.started?.(picked);
    if (picked.host === 'b') balancer.finished?.(picked, 1, false);
    else under.push(picked);
  }
  assert.ok(under.length <= 3, `${under.length} requests hang`);
});

test('a Target that joins does not get all traffic at once', () => {
  const { state, clock } = testState();
  const [a, b] = [target('a'), target('b')];
  const before = ewma.create([a, b], OPTIONS, state);
  before.finished?.(a, 100, false);
  before.finished?.(b, 10, false);
  clock.now += 10;
  const after = ewma.create([a, b, target('c')], OPTIONS, state);
  const hosts = Array.from({ length: 60 }, () => after.pick(subject(), [])?.host);
  assert.ok(hosts.includes('b') && hosts.includes('c') && !hosts.includes('a'));
});
