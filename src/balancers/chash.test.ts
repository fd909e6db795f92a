import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { balancerConformance, OPTIONS, subject, target, testState } from './balancer.conformance.ts';
import type { BalancerOptions, Target } from './balancer.ts';
import { chash } from './chash.ts';

balancerConformance(chash);

const KEYS = Array.from({ length: 2000 }, (_, i) => `198.51.${i >> 8}.${i & 255}`);

function owners(targets: readonly Target[]): string[] {
  const balancer = chash.create(targets, OPTIONS, testState().state);
  return KEYS.map((key) => balancer.pick(subject({ remote_addr: key }), [])!.key);
}

function ownerOf(options: Partial<BalancerOptions>, variables: Record<string, string>): string {
  const targets = Array.from({ length: 50 }, (_, i) => target(`10.0.0.${i}`));
  const balancer = chash.create(targets, { ...OPTIONS, ...options }, testState().state);
  return balancer.pick(subject(variables), [])!.key;
}

test('the same key goes to the same Target, in whatever order they are configured', () => {
  const targets = Array.from({ length: 7 }, (_, i) => target(`10.0.0.${i}`, 1 + (i % 3)));
  assert.deepEqual(owners(targets), owners(targets.toReversed()));
});

test('a Target that leaves moves its own keys and no other', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 8 }), fc.nat(7), (count, leaving) => {
      const targets = Array.from({ length: count }, (_, i) => target(`10.0.0.${i}`, 1 + (i % 4)));
      const gone = targets[leaving % count].key;
      const before = owners(targets);
      const after = owners(targets.filter((one) => one.key !== gone));
      before.forEach((owner, i) => {
        if (owner !== gone) assert.equal(after[i], owner);
        else assert.notEqual(after[i], gone);
      });
    }),
    { numRuns: 20 },
  );
});

test('gives Targets keys by weight, roughly', () => {
  for (const unit of [1, 100]) {
    const counts: Record<string, number> = {};
    for (const owner of owners([target('a', unit), target('b', unit), target('c', 2 * unit)]))
      counts[owner] = (counts[owner] ?? 0) + 1;
    assert.ok(Math.abs(counts['c:80'] - 1000) < 200, JSON.stringify(counts));
    assert.ok(Math.abs(counts['a:80'] - 500) < 150, JSON.stringify(counts));
  }
});

test('a retry spreads the keys of one lost Target over all the others', () => {
  const targets = Array.from({ length: 5 }, (_, i) => target(`10.0.0.${i}`));
  const balancer = chash.create(targets, OPTIONS, testState().state);
  const second = new Set<string>();
  for (const key of KEYS) {
    const visitor = subject({ remote_addr: key });
    const first = balancer.pick(visitor, [])!;
    if (first !== targets[0]) continue;
    const next = balancer.pick(visitor, [first])!;
    assert.equal(balancer.pick(visitor, [first]), next);
    second.add(next.key);
  }
  assert.equal(second.size, 4);
});

test('hashes what hash_on names, and the address where that has no value', () => {
  const address = '192.0.2.1';
  const here = { remote_addr: address };
  const byAddress = ownerOf({}, here);
  const cases: [Partial<BalancerOptions>, Record<string, string>][] = [
    [{ hash_on: 'vars', key: 'arg_device' }, { arg_device: 'd-1' }],
    [{ hash_on: 'header', key: 'X-Session' }, { http_x_session: 'd-1' }],
    [{ hash_on: 'cookie', key: 'sid' }, { cookie_sid: 'd-1' }],
    [{ hash_on: 'consumer' }, { consumer_name: 'd-1' }],
  ];
  const expected = ownerOf({}, { remote_addr: 'd-1' });
  assert.notEqual(expected, byAddress);
  for (const [options, variables] of cases) {
    assert.equal(ownerOf(options, { ...here, ...variables }), expected, JSON.stringify(options));
    assert.equal(ownerOf(options, here), byAddress, JSON.stringify(options));
  }
});

test('hashes a combination of variables when one of them has a value', () => {
  const options = { hash_on: 'vars_combinations', key: '$request_uri-$arg_a' } as const;
  assert.equal(
    ownerOf(options, { remote_addr: '192.0.2.1', arg_a: 'x' }),
    ownerOf({}, { remote_addr: '-x' }),
  );
  assert.equal(ownerOf(options, { remote_addr: '192.0.2.1' }), ownerOf({}, { remote_addr: '192.0.2.1' }));
});

test('a key stays where it is when another Target is unhealthy, also when that is the heaviest', () => {
  const all = [target('a', 1), target('b', 2), target('c', 50)];
  const { state } = testState();
  const whole = chash.create(all, { ...OPTIONS, all }, state);
  const part = chash.create(all.slice(0, 2), { ...OPTIONS, all }, state);
  for (let i = 0; i < 2000; i++) {
    const visitor = subject({ remote_addr: `192.0.2.${i}` });
    const picked = whole.pick(visitor, [])!;
    if (picked.host !== 'c') assert.equal(part.pick(visitor, []), picked);
  }
});
