import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allocateSharedState, SharedState } from './shared-state.ts';

function setUp() {
  const clock = { now: 5_000_000 };
  const state = new SharedState(
    allocateSharedState({ workers: 2, limitSlots: 64 }),
    undefined,
    () => clock.now,
  );
  return { clock, state, peek: () => state.peek(() => clock.now) };
}

test('decides as the shared counters would next, without counting', () => {
  const { state, peek } = setUp();
  for (let i = 0; i < 3; i++) state.limits.fixedWindow('a', 4, 60, 1);
  for (let i = 0; i < 3; i++) {
    const { allowed, remaining } = peek().fixedWindow('a', 4, 60, 1) as {
      allowed: boolean;
      remaining: number;
    };
    assert.deepEqual({ allowed, remaining }, { allowed: true, remaining: 0 });
  }
  assert.equal(state.limits.fixedWindow('a', 4, 60, 1).allowed, true);
  assert.equal((peek().fixedWindow('a', 4, 60, 1) as { allowed: boolean }).allowed, false);
});

test('counts what one evaluation asks for twice', () => {
  const { peek } = setUp();
  const limits = peek();
  assert.equal((limits.fixedWindow('a', 1, 60, 1) as { allowed: boolean }).allowed, true);
  assert.equal((limits.fixedWindow('a', 1, 60, 1) as { allowed: boolean }).allowed, false);
  assert.equal((peek().fixedWindow('a', 1, 60, 1) as { allowed: boolean }).allowed, true);
});

test('sees the end of a window, the drain of a bucket and the sliding of a window', () => {
  const { clock, state, peek } = setUp();
  state.limits.fixedWindow('f', 1, 60, 1);
  state.limits.slidingWindow('s', 1, 60, 1);
  state.limits.leakyBucket('l', 1, 0);
  const ask = () => {
    const limits = peek();
    return [
      limits.fixedWindow('f', 1, 60, 1),
      limits.slidingWindow('s', 1, 60, 1),
      limits.leakyBucket('l', 1, 0),
    ].map((verdict) => (verdict as { allowed: boolean }).allowed);
  };
  assert.deepEqual(ask(), [false, false, false]);
  clock.now += 1_000;
  assert.deepEqual(ask(), [false, false, true]);
  clock.now += 120_000;
  assert.deepEqual(ask(), [true, true, true]);
});

test('sees who is inside a concurrency limit, and leaves them there', () => {
  const { state, peek } = setUp();
  state.limits.enter('c', 2);
  const limits = peek();
  assert.deepEqual({ ...(limits.enter('c', 2) as object) }, { allowed: true, current: 2 });
  assert.deepEqual({ ...(limits.enter('c', 2) as object) }, { allowed: false, current: 2 });
  limits.leave('c');
  limits.leave('c');
  assert.deepEqual({ ...state.limits.enter('c', 5) }, { allowed: true, current: 2 });
});

test('agrees with the shared limits on random sequences of calls', () => {
  const { clock, state, peek } = setUp();
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  for (let i = 0; i < 500; i++) {
    clock.now += random(4) * 700;
    const key = `k${random(3)}`;
    const limit = 1 + random(4);
    const ask = [
      (limits: Pick<typeof state.limits, 'fixedWindow'>) =>
        limits.fixedWindow(`f${key}${limit}`, limit, 3, 1),
      (limits: Pick<typeof state.limits, 'slidingWindow'>) =>
        limits.slidingWindow(`s${key}${limit}`, limit, 3, 1),
      (limits: Pick<typeof state.limits, 'leakyBucket'>) => limits.leakyBucket(`l${key}${limit}`, limit, 1),
    ][random(3)];
    const foreseen = { ...ask(peek()) };
    assert.deepEqual(foreseen, { ...ask(state.limits) });
  }
});
