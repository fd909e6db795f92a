import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balancerConformance, OPTIONS, subject, target, testState } from './balancer.conformance.ts';
import { leastConn } from './least-conn.ts';

balancerConformance(leastConn);

test('picks the Target with the fewest attempts under way', () => {
  const [a, b, c] = [target('a'), target('b'), target('c')];
  const balancer = leastConn.create([a, b, c], OPTIONS, testState().state);
  for (const busy of [a, a, b, c, c]) balancer.started?.(busy);
  assert.equal(balancer.pick(subject(), []), b);
  balancer.finished?.(a, 1, false);
  balancer.finished?.(a, 1, true);
  assert.equal(balancer.pick(subject(), []), a);
  assert.equal(balancer.pick(subject(), [a]), b);
});

test('fills Targets by weight', () => {
  const [a, b] = [target('a', 3), target('b', 1)];
  const balancer = leastConn.create([a, b], OPTIONS, testState().state);
  const counts = { a: 0, b: 0 };
  for (let i = 0; i < 8; i++) {
    const picked = balancer.pick(subject(), [])!;
    balancer.started?.(picked);
    counts[picked.host as 'a' | 'b']++;
  }
  assert.deepEqual(counts, { a: 6, b: 2 });
});

test('gives idle Targets turns', () => {
  const balancer = leastConn.create([target('a'), target('b')], OPTIONS, testState().state);
  const hosts = Array.from({ length: 4 }, () => balancer.pick(subject(), [])?.host);
  assert.deepEqual(hosts.sort(), ['a', 'a', 'b', 'b']);
});

test('knows after a rebuild what is still under way', () => {
  const { state } = testState();
  const a = target('a');
  leastConn.create([a], OPTIONS, state).started?.(a);
  const rebuilt = leastConn.create([target('a'), target('b')], OPTIONS, state);
  for (let i = 0; i < 4; i++) assert.equal(rebuilt.pick(subject(), [])?.host, 'b');
});

test('a Target that hangs gets at most a fifth of the traffic', () => {
  const targets = [target('slow'), target('quick')];
  const balancer = leastConn.create(targets, OPTIONS, testState().state);
  const ends: { at: number; end: () => void }[] = [];
  let slow = 0;
  for (let now = 0; now < 1000; now++) {
    for (const done of ends.filter((one) => one.at === now)) done.end();
    const picked = balancer.pick(subject(), [])!;
    balancer.started?.(picked);
    const latency = picked.host === 'slow' ? 100 : 10;
    if (picked.host === 'slow') slow++;
    ends.push({ at: now + latency, end: () => balancer.finished?.(picked, latency, false) });
  }
  assert.ok(slow <= 200, `${slow} of 1000`);
});
