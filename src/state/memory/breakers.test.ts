import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BreakerOutcome, BreakerPolicy, Breakers } from '../../plugin/breakers.ts';
import { NaiveBreakers } from '../../plugin/testing.ts';
import { allocateSharedState, SharedState } from './shared-state.ts';

const COUNT: BreakerPolicy = { type: 'count', failures: 3, successes: 2, longestMs: 8000 };
const RATIO: BreakerPolicy = {
  type: 'ratio',
  failureRatio: 0.5,
  minRequests: 4,
  windowMs: 10_000,
  openMs: 5000,
  probes: 2,
  successRatio: 1,
};

function fixture() {
  const clock = { now: 1_000_000 };
  const buffers = allocateSharedState({ workers: 2, breakerSlots: 64 });
  const main = new SharedState(buffers, undefined, () => clock.now);
  const open = (worker: number) =>
    new SharedState(buffers, { worker, incarnation: main.membership.admit(worker) }, () => clock.now)
      .breakers;
  return { clock, main, open, buffers };
}

function send(breakers: Breakers, policy: BreakerPolicy, outcome: BreakerOutcome, key = 'k'): number {
  const admission = breakers.admit(key, policy);
  if (admission <= 0) breakers.report(key, policy, admission, outcome);
  return admission;
}

test('counts failures of all workers, and opens for 2, 4, 8 seconds as they go on', () => {
  const { clock, open } = fixture();
  const [one, other] = [open(1), open(2)];
  for (const seconds of [2, 4, 8, 8]) {
    send(one, COUNT, 'failure');
    send(other, COUNT, 'failure');
    assert.equal(other.admit('k', COUNT), 0);
    send(one, COUNT, 'failure');
    assert.equal(other.admit('k', COUNT), seconds * 1000);
    clock.now += seconds * 1000;
  }
  send(one, COUNT, 'success');
  send(other, COUNT, 'success');
  for (let i = 0; i < 3; i++) send(one, COUNT, 'failure');
  assert.equal(other.admit('k', COUNT), 2000, 'two successes made all of it forgotten');
});

test('opens at a share of failures, lets as many probes through as configured, and closes after them', () => {
  const { clock, open } = fixture();
  const [one, other] = [open(1), open(2)];
  for (const outcome of ['success', 'other', 'failure'] as const) assert.equal(send(one, RATIO, outcome), 0);
  assert.equal(send(other, RATIO, 'failure'), 0);
  assert.equal(one.admit('k', RATIO), 5000);
  clock.now += 5000;
  const probes = [one.admit('k', RATIO), other.admit('k', RATIO)];
  assert.ok(probes.every((probe) => probe < 0));
  assert.ok(one.admit('k', RATIO) > 0, 'no third one');
  one.report('k', RATIO, probes[0], 'success');
  assert.ok(one.admit('k', RATIO) > 0, 'nor another for one that has ended');
  other.report('k', RATIO, probes[1], 'success');
  for (let i = 0; i < 3; i++) assert.equal(send(one, RATIO, 'failure'), 0, 'it is closed and begins anew');
});

test('a failed probe opens it again, and what was admitted before counts no more', () => {
  const { clock, main } = fixture();
  const { breakers } = main;
  const early = breakers.admit('k', RATIO);
  for (let i = 0; i < 4; i++) send(breakers, RATIO, 'failure');
  breakers.report('k', RATIO, early, 'failure');
  clock.now += 5000;
  const [slow, failing] = [breakers.admit('k', RATIO), breakers.admit('k', RATIO)];
  breakers.report('k', RATIO, early, 'success');
  breakers.report('k', RATIO, failing, 'failure');
  assert.equal(breakers.admit('k', RATIO), 5000);
  clock.now += 5000;
  const [probe] = [breakers.admit('k', RATIO)];
  breakers.report('k', RATIO, slow, 'failure');
  breakers.report('k', RATIO, probe, 'success');
  assert.equal(send(breakers, RATIO, 'success') < 0, true, 'the probe of an earlier time said nothing');
  assert.equal(breakers.admit('k', RATIO), 0);
});

test('a probe that tells nothing, or whose worker died, is given to another request', () => {
  const { clock, main } = fixture();
  const { breakers } = main;
  const policy = { ...RATIO, probes: 1 };
  for (let i = 0; i < 4; i++) send(breakers, policy, 'failure');
  clock.now += 5000;
  assert.ok(send(breakers, policy, 'none') < 0);
  assert.ok(breakers.admit('k', policy) < 0);
  assert.ok(breakers.admit('k', policy) > 0, 'that one never reports');
  clock.now += 60_000;
  assert.ok(send(breakers, policy, 'success') < 0);
  assert.equal(breakers.admit('k', policy), 0);
});

test('an evaluation is told what a request would be, and is no probe', () => {
  const { clock, main, buffers } = fixture();
  for (let i = 0; i < 4; i++) send(main.breakers, RATIO, 'failure');
  const peeking = main.peekBreakers(() => clock.now);
  assert.equal(peeking.admit('k', RATIO), 5000);
  clock.now += 5000;
  const before = Buffer.from(new Uint8Array(buffers.breakers)).toString('hex');
  for (let i = 0; i < 5; i++) assert.ok(send(peeking, RATIO, 'failure') < 0);
  assert.equal(Buffer.from(new Uint8Array(buffers.breakers)).toString('hex'), before);
});

test('requests that succeed while nothing fails make no entry for the count policy', () => {
  const { main, buffers } = fixture();
  const before = Buffer.from(new Uint8Array(buffers.breakers)).toString('hex');
  for (let i = 0; i < 100; i++) send(main.breakers, COUNT, 'success', `path-${i}`);
  assert.equal(Buffer.from(new Uint8Array(buffers.breakers)).toString('hex'), before);
});

const outcome = fc.constantFrom<BreakerOutcome>('failure', 'success', 'other', 'none');

// The window that slides in two steps and the exact one agree as long as all is within one window.
for (const [name, policy, longest] of [
  ['count', COUNT, 6000],
  ['ratio', { ...RATIO, windowMs: 100_000_000 }, 6000],
] as const) {
  test(`the ${name} policy agrees with a model that remembers every request`, () => {
    const step = fc.record({ pause: fc.nat(longest), outcome, late: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, main } = fixture();
        const naive = new NaiveBreakers({ now: () => clock.now, monotonic: () => clock.now });
        let waiting: { admissions: readonly [number, number]; outcome: BreakerOutcome }[] = [];
        const report = (entries: typeof waiting) => {
          for (const { admissions, outcome } of entries) {
            main.breakers.report('k', policy, admissions[0], outcome);
            naive.report('k', policy, admissions[1], outcome);
          }
        };
        for (const { pause, outcome, late } of steps) {
          clock.now += pause;
          const admissions = [main.breakers.admit('k', policy), naive.admit('k', policy)] as const;
          assert.equal(Math.sign(admissions[0]), Math.sign(admissions[1]));
          if (admissions[0] <= 0) waiting.push({ admissions, outcome });
          if (late) continue;
          report(waiting);
          waiting = [];
        }
      }),
    );
  });
}

test('what failed before it closed again does not open it, also soon after the machine was started', () => {
  const clock = { now: 1000 };
  const buffers = allocateSharedState({ workers: 1, breakerSlots: 64 });
  const { breakers } = new SharedState(buffers, undefined, () => clock.now);
  for (let i = 0; i < 20; i++) send(breakers, RATIO, i < 10 ? 'success' : 'failure');
  clock.now += 5000;
  const probes = [breakers.admit('k', RATIO), breakers.admit('k', RATIO)];
  for (const probe of probes) breakers.report('k', RATIO, probe, 'success');
  assert.equal(send(breakers, RATIO, 'failure'), 0);
  assert.equal(breakers.admit('k', RATIO), 0, 'one failure alone is below min_requests');
});
