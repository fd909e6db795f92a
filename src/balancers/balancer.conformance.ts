import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { VariableSource } from '../plugin/variable.ts';
import type { BalancerDefinition, BalancerOptions, Target } from './balancer.ts';
import { BalancerState } from './balancer-state.ts';

export function target(host: string, weight = 1, priority = 0): Target {
  return { host, port: 80, weight, priority, key: `${host}:80` };
}

/** A subject with these variables. */
export function subject(variables: Readonly<Record<string, string>> = {}): VariableSource {
  return { variable: (name) => variables[name] };
}

export interface TestState {
  readonly state: BalancerState;
  readonly clock: { now: number };
}

/** State with a clock that stands still, tickets of its own and reproducible chance. */
export function testState(seed = 1): TestState {
  const clock = { now: 1000 };
  const tickets = new Map<string, number>();
  let chance = seed;
  const state = new BalancerState({
    now: () => clock.now,
    random: () => (chance = (Math.imul(chance, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32,
    ticket: (key) => ({
      next() {
        const number = tickets.get(key) ?? 0;
        tickets.set(key, number + 1);
        return number;
      },
    }),
  });
  return { state, clock };
}

export const OPTIONS: BalancerOptions = { upstream: 'upstreams/1' };

const someTargets = fc.uniqueArray(
  fc.record({
    host: fc.nat(40).map((n) => `10.0.0.${n}`),
    weight: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5000 })),
    priority: fc.integer({ min: -1, max: 1 }),
  }),
  { selector: (one) => one.host, maxLength: 8 },
);

/** What holds for every algorithm, whatever it prefers. */
export function balancerConformance(definition: BalancerDefinition): void {
  const visitors = Array.from({ length: 64 }, (_, i) => subject({ remote_addr: `192.0.2.${i}` }));

  describe(`${definition.name}, as any balancer`, () => {
    test('offers every Target that may get traffic once, by priority, then nothing', () => {
      fc.assert(
        fc.property(someTargets, fc.nat(63), (records, visitor) => {
          const targets = records.map((one) => target(one.host, one.weight, one.priority));
          const balancer = definition.create(targets, OPTIONS, testState().state);
          const tried: Target[] = [];
          for (;;) {
            const picked = balancer.pick(visitors[visitor], tried);
            if (picked === undefined) break;
            tried.push(picked);
            balancer.started?.(picked);
            balancer.finished?.(picked, 5, true);
            assert.ok(tried.length <= targets.length, 'a Target was offered again');
          }
          const weighted = targets.filter((one) => one.weight > 0);
          const expected = weighted.length > 0 ? weighted : targets;
          assert.deepEqual(tried.map((one) => one.key).sort(), expected.map((one) => one.key).sort());
          const priorities = tried.map((one) => one.priority);
          assert.deepEqual(
            priorities,
            priorities.toSorted((a, b) => b - a),
          );
        }),
        { numRuns: 60 },
      );
    });

    test('gives nothing to a Target of weight 0, and all of them traffic when all weigh 0', () => {
      for (const weight of [1, 0]) {
        const targets = [target('a', 0), target('b', weight), target('c', weight)];
        const balancer = definition.create(targets, OPTIONS, testState().state);
        const hosts = new Set<string | undefined>();
        for (const visitor of visitors) hosts.add(run(balancer, visitor)?.host);
        assert.deepEqual([...hosts].sort(), weight === 0 ? ['a', 'b', 'c'] : ['b', 'c']);
      }
    });

    test('leaves lower priorities alone while a higher one is untried', () => {
      const targets = [target('low', 100, -1), target('high', 1, 1), target('also-high', 1, 1)];
      const balancer = definition.create(targets, OPTIONS, testState().state);
      for (const visitor of visitors) assert.equal(run(balancer, visitor)?.priority, 1);
      assert.equal(balancer.pick(visitors[0], [targets[1], targets[2]])?.host, 'low');
    });

    test('has nothing to offer without Targets', () => {
      const balancer = definition.create([], OPTIONS, testState().state);
      assert.equal(balancer.pick(visitors[0], []), undefined);
    });

    test('made for a part of the Targets, gives nothing to the rest', () => {
      const { state } = testState();
      const all = ['a', 'b', 'c', 'd'].map((host, i) => target(host, 1, i < 3 ? 1 : 0));
      for (const part of [all, all.slice(1), all.slice(2), [all[0], all[3]], [all[3]], all]) {
        const balancer = definition.create(part, { ...OPTIONS, all }, state);
        const best = Math.max(...part.map(({ priority }) => priority));
        const expected = part.filter(({ priority }) => priority === best).map(({ host }) => host);
        const hosts = new Set(visitors.map((visitor) => run(balancer, visitor)?.host));
        assert.deepEqual([...hosts].sort(), expected);
        const tried: Target[] = [];
        for (let picked = balancer.pick(visitors[1], []); picked !== undefined; ) {
          tried.push(picked);
          picked = balancer.pick(visitors[1], tried);
        }
        assert.deepEqual(
          tried.map(({ host }) => host).sort(),
          part.map(({ host }) => host),
        );
      }
    });

    test('keeps the load of a Target that is left out for a while', () => {
      const { state } = testState();
      const all = [target('a'), target('b')];
      const whole = definition.create(all, { ...OPTIONS, all }, state);
      run(whole, visitors[0]);
      const [a, b] = all.map(({ key }) => state.load(OPTIONS.upstream, key));
      definition.create([all[0]], { ...OPTIONS, all }, state);
      definition.create([all[1]], { ...OPTIONS, all }, state);
      assert.equal(state.load(OPTIONS.upstream, all[0].key), a);
      assert.equal(state.load(OPTIONS.upstream, all[1].key), b);
    });

    test('goes on with other Targets after a rebuild, while attempts of the old build end', () => {
      const { state } = testState();
      const before = definition.create([target('a'), target('b')], OPTIONS, state);
      const running = before.pick(visitors[0], [])!;
      before.started?.(running);
      const after = definition.create([target('b'), target('c')], OPTIONS, state);
      before.finished?.(running, 3, false);
      const hosts = new Set(visitors.map((visitor) => run(after, visitor)?.host));
      assert.deepEqual([...hosts].sort(), ['b', 'c']);
    });
  });

  function run(balancer: ReturnType<BalancerDefinition['create']>, visitor: VariableSource) {
    const picked = balancer.pick(visitor, []);
    if (picked === undefined) return undefined;
    balancer.started?.(picked);
    balancer.finished?.(picked, 1, false);
    return picked;
  }
}
