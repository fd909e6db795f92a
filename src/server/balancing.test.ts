// An Upstream with every algorithm, and Targets whose health changes.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BalancerState } from '../balancers/balancer-state.ts';
import { balancers } from '../balancers/index.ts';
import type { Value } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import { warmShare } from '../proxy/available-targets.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { Pools } from '../proxy/pools.ts';
import { type Target, Upstream } from '../proxy/upstream.ts';
import { upstreamOptions } from '../proxy/upstream-options.ts';
import { allocateSharedState, SharedState } from '../state/memory/shared-state.ts';
import { balancersOn } from './balancing.ts';

const THRESHOLDS = { success: 1, tcp_failure: 1, http_failure: 1, timeout: 1 };

function fixture(value: Value) {
  const clock = { now: 1_000_000 };
  const state = new SharedState(
    allocateSharedState({ workers: 1, healthSlots: 64, ticketSlots: 64 }),
    undefined,
    () => clock.now,
  );
  let chance = 1;
  const createBalancer = balancersOn(
    new BalancerState({
      ticket: (key) => state.counters.ticket(key),
      now: () => clock.now,
      random: () => (chance = (Math.imul(chance, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32,
    }),
  );
  const make = () =>
    new Upstream(upstreamOptions(value, 'upstreams/u', 'u', new Snapshot()), {
      pools: new Pools({ tls: noConnection, http2: noConnection }),
      resolver: { addresses: () => undefined, resolve: async () => [], watch: () => () => {} },
      health: state.health,
      createBalancer: (options, targets, all) => createBalancer(value, options, targets, all),
    });
  let visitor = 0;
  /** How often each Target is picked. */
  const shares = (upstream: Upstream, count: number): Record<string, number> => {
    const found: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const address = `192.0.2.${visitor++ % 250}`;
      const exchange = { variable: () => address } as unknown as Exchange;
      const target = upstream.pick(exchange, [])!;
      target.started();
      target.finished(1, false);
      found[target.host] = (found[target.host] ?? 0) + 1;
    }
    return found;
  };
  const report = (host: string, event: 'success' | 'tcp_failure') =>
    state.health.target('upstreams/u', `${host}:80`).report(event, THRESHOLDS);
  return { clock, state, make, shares, report };
}

const nodes = (...priorities: number[]) =>
  priorities.map((priority, index) => ({ host: 'abcdef'[index], port: 80, weight: 1, priority }));

for (const { name } of balancers) {
  describe(`${name}, with unhealthy Targets`, () => {
    test('passes them over, tries all when none is left, and takes them back', () => {
      const { make, shares, report } = fixture({ type: name, nodes: nodes(0, 0, 0), checks: { active: {} } });
      const upstream = make();
      const used = () => Object.keys(shares(upstream, 200)).sort().join('');
      assert.equal(used(), 'abc');
      report('b', 'tcp_failure');
      assert.equal(used(), 'ac');
      assert.deepEqual(
        upstream.unhealthy().map(({ host }) => host),
        ['b'],
      );
      report('a', 'tcp_failure');
      assert.equal(used(), 'c');
      report('c', 'tcp_failure');
      assert.equal(used(), 'abc', 'there is nothing to lose');
      report('b', 'success');
      assert.equal(used(), 'b');
      report('a', 'success');
      report('c', 'success');
      assert.equal(used(), 'abc');
    });

    test('goes to a lower priority when a whole one is unhealthy, and back', () => {
      const { make, shares, report } = fixture({ type: name, nodes: nodes(1, 1, 0), checks: { active: {} } });
      const upstream = make();
      report('a', 'tcp_failure');
      assert.deepEqual(shares(upstream, 50), { b: 50 });
      report('b', 'tcp_failure');
      assert.deepEqual(shares(upstream, 50), { c: 50 });
      report('a', 'success');
      assert.deepEqual(shares(upstream, 50), { a: 50 });
    });

    test('does not offer an unhealthy one to a retry', () => {
      const { make, report } = fixture({ type: name, nodes: nodes(0, 0, 0), checks: { active: {} } });
      const upstream = make();
      report('b', 'tcp_failure');
      const exchange = { variable: () => 'x' } as unknown as Exchange;
      const tried: Target[] = [];
      for (let next = upstream.pick(exchange, []); next !== undefined; next = upstream.pick(exchange, tried))
        tried.push(next);
      assert.deepEqual(tried.map(({ host }) => host).sort(), ['a', 'c']);
    });

    test('knows their health after a rebuild', () => {
      const { make, shares, report } = fixture({ type: name, nodes: nodes(0, 0), checks: { active: {} } });
      make();
      report('a', 'tcp_failure');
      assert.deepEqual(shares(make(), 20), { b: 20 });
    });
  });
}

test('the turns of an unhealthy Target are shared by the others evenly', () => {
  const { make, shares, report } = fixture({ nodes: nodes(0, 0, 0, 0), checks: { active: {} } });
  const upstream = make();
  report('b', 'tcp_failure');
  assert.deepEqual(shares(upstream, 300), { a: 100, c: 100, d: 100 });
});

test('a healthy Target that weighs nothing does not stand in for those that are unhealthy', () => {
  const [a, b] = nodes(0, 0);
  const { make, shares, report } = fixture({ nodes: [a, { ...b, weight: 0 }], checks: { active: {} } });
  const upstream = make();
  report('a', 'tcp_failure');
  assert.deepEqual(shares(upstream, 10), { a: 10 });
});

test('without probes, time alone brings a Target back', () => {
  const { clock, state, make, shares } = fixture({ nodes: nodes(0, 0), checks: { passive: {} } });
  const upstream = make();
  state.health
    .target('upstreams/u', 'a:80')
    .report('tcp_failure', THRESHOLDS, { firstMs: 1000, longestMs: 5000 });
  assert.deepEqual(shares(upstream, 10), { b: 10 });
  clock.now += 999;
  assert.deepEqual(shares(upstream, 10), { b: 10 });
  clock.now += 1;
  assert.deepEqual(shares(upstream, 10), { a: 5, b: 5 });
});

const SLOW = { slow_start_time_seconds: 100, min_weight_percent: 10, interval: 1 };

for (const type of ['roundrobin', 'least_conn']) {
  test(`a Target that comes back gets more bit by bit, with ${type} and a weight of 1`, () => {
    const { clock, make, shares, report } = fixture({
      type,
      nodes: nodes(0, 0),
      checks: { active: {} },
      slow_start: SLOW,
    });
    const upstream = make();
    assert.deepEqual(shares(upstream, 1000), { a: 500, b: 500 });
    report('a', 'tcp_failure');
    shares(upstream, 1);
    report('a', 'success');
    const found: number[] = [];
    for (const seconds of [0, 25, 50, 100]) {
      const start = clock.now;
      clock.now += seconds * 1000;
      // Nothing under way, least_conn takes the heaviest: its share is how it fills up.
      if (type === 'roundrobin') found.push(shares(upstream, 1100).a);
      else {
        shares(upstream, 1);
        found.push(upstream.targets[0].weight);
      }
      clock.now = start;
    }
    const expected = type === 'roundrobin' ? [100, 220, 366, 550] : [10, 25, 50, 1];
    found.forEach((share, index) => {
      assert.ok(Math.abs(share - expected[index]) <= 2, `${found} instead of ${expected}`);
    });
  });
}

test('the share while warming up follows the time, bent by the aggression', () => {
  const whole = { ...SLOW, aggression: 1, startup_grace_period_seconds: 0 };
  assert.deepEqual(
    [0, 5, 50, 100, 200].map((seconds) => warmShare(whole, seconds * 1000)),
    [0.1, 0.1, 0.5, 1, 1],
  );
  assert.equal(warmShare({ ...whole, aggression: 2 }, 25_000), 0.5);
});

test('an Upstream whose Targets all weigh nothing uses all of them', () => {
  const { make, shares } = fixture({ nodes: { 'a:80': 0, 'b:80': 0 } });
  assert.deepEqual(shares(make(), 10), { a: 5, b: 5 });
});

function noConnection(): never {
  throw new Error('nothing is sent here');
}

describe('other Targets', () => {
  const target = (host: string, weight = 1, priority = 0) => ({
    host,
    port: 80,
    weight,
    priority,
    key: `${host}:80`,
  });
  const value = (type: string): Value => ({
    type,
    key: 'remote_addr',
    nodes: [
      { host: 'a', weight: 1 },
      { host: 'b', weight: 1 },
    ],
  });

  for (const { name } of balancers) {
    test(`${name}: those that stay are the same, and those that go get nothing`, () => {
      const { make, shares } = fixture(value(name));
      const upstream = make();
      const [a, b] = upstream.targets;
      upstream.retarget([target('c'), target('b')]);
      assert.equal(upstream.targets[1], b);
      const found = shares(upstream, 200);
      assert.equal(found.a, undefined);
      assert.ok(found.b > 0 && found.c > 0);
      upstream.retarget([target('b', 7)]);
      assert.notEqual(upstream.targets[0], b, 'a Target never changes under a Balancer that has it');
      assert.equal(upstream.targets[0].pool, b.pool, 'its connections stay');
      assert.notEqual(a.pool, b.pool);
      assert.deepEqual(shares(upstream, 3), { b: 3 });
      upstream.retarget([]);
      assert.equal(upstream.pick({ variable: () => '' } as unknown as Exchange, []), undefined);
      assert.equal(upstream.noTarget.status, 503);
      upstream.retarget([target('a'), target('b')]);
      assert.equal(upstream.noTarget.status, 502);
      assert.equal(upstream.retriesFor(), 1);
    });
  }

  test('attempts under way count on, also where a Target got another weight', () => {
    const { make } = fixture(value('least_conn'));
    const upstream = make();
    const [a, b] = upstream.targets;
    for (let i = 0; i < 3; i++) a.started();
    b.started();
    const pick = () => upstream.pick({ variable: () => '' } as unknown as Exchange, [])?.host;
    upstream.retarget([target('a', 2), target('b', 2), target('c', 2)]);
    const idle = upstream.targets[2];
    assert.equal(pick(), 'c', 'nothing runs there');
    for (let i = 0; i < 5; i++) idle.started();
    assert.equal(pick(), 'b', 'one attempt, from before');
    for (let i = 0; i < 3; i++) a.finished(1, false);
    assert.equal(pick(), 'a', 'the last of them ended on the old object');
  });

  test('weights of nothing but zero are equal shares, and weights again later', () => {
    const { make, shares } = fixture(value('roundrobin'));
    const upstream = make();
    upstream.retarget([target('a', 0), target('b', 0)]);
    assert.deepEqual(shares(upstream, 4), { a: 2, b: 2 });
    upstream.retarget([target('a', 0), target('b', 3)]);
    assert.deepEqual(shares(upstream, 4), { b: 4 });
  });

  test('unhealthy ones stay so, and new ones are healthy', () => {
    const { make, shares, report } = fixture({ ...value('roundrobin'), checks: { active: {} } });
    const upstream = make();
    report('b', 'tcp_failure');
    upstream.retarget([target('a'), target('b', 5), target('c')]);
    assert.deepEqual(shares(upstream, 4), { a: 2, c: 2 });
    report('b', 'success');
    assert.deepEqual(shares(upstream, 7), { a: 1, b: 5, c: 1 });
  });
});
