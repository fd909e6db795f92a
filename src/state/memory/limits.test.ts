import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { SharedTable } from './shared-table.ts';

class ManualClock {
  now = 1_000_000;
  readonly read = () => this.now;
}

function fixture(workers = 2) {
  const clock = new ManualClock();
  const membership = new Membership(Membership.allocate(workers));
  const buffer = SharedTable.allocate({ slots: 1024, words: MemoryLimits.wordsFor(membership) });
  const open = (token = Membership.MAIN) =>
    new MemoryLimits(new SharedTable(buffer, membership, token), token, clock.read);
  return { clock, membership, open, limits: open() };
}

test('a fixed window starts at the first request and shows what APISIX shows', () => {
  const { clock, limits } = fixture();
  const seen: unknown[] = [];
  for (const pause of [0, 3, 2, 2]) {
    clock.now += pause;
    const { allowed, remaining, resetSeconds } = limits.fixedWindow('k', 2, 60, 1);
    seen.push([allowed, remaining, resetSeconds]);
  }
  assert.deepEqual(seen, [
    [true, 1, 60],
    [true, 0, 59.99],
    [false, 0, 59.99],
    [false, 0, 59.99],
  ]);
  clock.now += 60_000;
  assert.equal(limits.fixedWindow('k', 2, 60, 1).allowed, true);
});

test('a refused request is not counted in a fixed window', () => {
  const { limits } = fixture();
  assert.equal(limits.fixedWindow('k', 5, 60, 4).allowed, true);
  assert.equal(limits.fixedWindow('k', 5, 60, 2).allowed, false);
  assert.equal(limits.fixedWindow('k', 5, 60, 1).remaining, 0);
  assert.equal(limits.fixedWindow('k', 5, 60, 1).allowed, false);
});

test('a sliding window weighs the window before by its overlap', () => {
  const { clock, limits } = fixture();
  clock.now = 600_000;
  for (let i = 0; i < 10; i++) assert.equal(limits.slidingWindow('k', 10, 60, 1).allowed, true);
  const refused = limits.slidingWindow('k', 10, 60, 1);
  assert.deepEqual([refused.allowed, refused.resetSeconds], [false, 60]);
  // A quarter into the next window: 7.5 of the ten still weigh, so that two more fit.
  clock.now = 675_000;
  assert.equal(limits.slidingWindow('k', 10, 60, 1).remaining, 1);
  assert.equal(limits.slidingWindow('k', 10, 60, 1).remaining, 0);
  // Three fit once 7 weigh: at 60 - 42 = 18 seconds, three from now.
  const third = limits.slidingWindow('k', 10, 60, 1);
  assert.deepEqual([third.allowed, third.resetSeconds], [false, 3]);
  clock.now += 3000;
  assert.equal(limits.slidingWindow('k', 10, 60, 1).allowed, true);
});

test('a leaky bucket delays what is above the rate and refuses what is above the burst', () => {
  const { clock, limits } = fixture();
  const seen: unknown[] = [];
  for (let i = 0; i < 4; i++) {
    const { allowed, delaySeconds } = limits.leakyBucket('k', 2, 2);
    seen.push([allowed, delaySeconds]);
  }
  assert.deepEqual(seen, [
    [true, 0],
    [true, 0.5],
    [true, 1],
    [false, 0],
  ]);
  clock.now += 500;
  assert.equal(limits.leakyBucket('k', 2, 2).delaySeconds, 1);
  clock.now += 60_000;
  assert.equal(limits.leakyBucket('k', 2, 2).delaySeconds, 0);
});

test('a concurrency limit admits as many as may be inside', () => {
  const { limits } = fixture();
  assert.deepEqual({ ...limits.enter('k', 2) }, { allowed: true, current: 1 });
  assert.deepEqual({ ...limits.enter('k', 2) }, { allowed: true, current: 2 });
  assert.deepEqual({ ...limits.enter('k', 2) }, { allowed: false, current: 2 });
  limits.leave('k');
  assert.deepEqual({ ...limits.enter('k', 2) }, { allowed: true, current: 2 });
  limits.leave('other');
});

test('what a dead worker had inside is given back, and what its successor enters counts', () => {
  const { membership, open, limits } = fixture();
  const first = open(Membership.token(1, membership.admit(1)));
  first.enter('k', 3);
  first.enter('k', 3);
  limits.enter('k', 3);
  assert.equal(limits.enter('k', 3).allowed, false);
  limits.releaseWorker(1);
  assert.deepEqual({ ...limits.enter('k', 3) }, { allowed: true, current: 2 });
  const second = open(Membership.token(1, membership.admit(1)));
  assert.deepEqual({ ...second.enter('k', 3) }, { allowed: true, current: 3 });
  assert.equal(second.enter('k', 3).allowed, false);
  second.leave('k');
  second.leave('k');
  assert.deepEqual({ ...limits.enter('k', 9) }, { allowed: true, current: 3 });
});

test('refuses a table whose slots are too small', () => {
  const membership = new Membership(Membership.allocate(8));
  const table = new SharedTable(SharedTable.allocate({ words: 4 }), membership);
  assert.throws(() => new MemoryLimits(table), RangeError);
});

// The naive models: one key, every request remembered.

const arrivals = fc.array(fc.record({ pause: fc.nat(400), cost: fc.integer({ min: 1, max: 3 }) }), {
  maxLength: 80,
});

test('the fixed window agrees with a model that remembers the window', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 8 }), (steps, limit) => {
      const { clock, limits } = fixture();
      let start = Number.NEGATIVE_INFINITY;
      let used = 0;
      for (const { pause, cost } of steps) {
        clock.now += pause;
        if (clock.now >= start + 1000) used = 0;
        const expected = used + cost <= limit;
        if (expected && used === 0) start = clock.now;
        if (expected) used += cost;
        const verdict = limits.fixedWindow('k', limit, 1, cost);
        assert.equal(verdict.allowed, expected);
        if (expected) assert.equal(verdict.remaining, limit - used);
      }
    }),
  );
});

test('the sliding window agrees with a model that remembers every request', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 8 }), (steps, limit) => {
      const { clock, limits } = fixture();
      const accepted: { window: number; cost: number }[] = [];
      const sum = (window: number) =>
        accepted.filter((one) => one.window === window).reduce((total, one) => total + one.cost, 0);
      for (const { pause, cost } of steps) {
        clock.now += pause;
        const window = Math.floor(clock.now / 1000);
        const overlap = 1 - (clock.now % 1000) / 1000;
        const estimate = sum(window) + sum(window - 1) * overlap;
        const verdict = limits.slidingWindow('k', limit, 1, cost);
        assert.equal(verdict.allowed, estimate + cost <= limit + 1e-6);
        if (verdict.allowed) accepted.push({ window, cost });
      }
    }),
  );
});

test('a request passes a sliding window after the reset that a refusal named', () => {
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 3, max: 8 }), (steps, limit) => {
      const { clock, limits } = fixture();
      for (const { pause, cost } of steps) {
        clock.now += pause;
        const verdict = limits.slidingWindow('k', limit, 1, cost);
        if (verdict.allowed) continue;
        clock.now += verdict.resetSeconds * 1000;
        const again = limits.slidingWindow('k', limit, 1, cost);
        // At a window's border the window that ended weighs in full, and falls from there.
        if (!again.allowed) clock.now += again.resetSeconds * 1000;
        if (!again.allowed) assert.equal(limits.slidingWindow('k', limit, 1, cost).allowed, true);
      }
    }),
  );
});

test('the leaky bucket agrees with excess and time kept apart, as nginx keeps them', () => {
  const rates = fc.constantFrom(0.5, 1, 3, 10, 100);
  fc.assert(
    fc.property(fc.array(fc.nat(2000), { maxLength: 80 }), rates, fc.nat(5), (pauses, rate, burst) => {
      const { clock, limits } = fixture();
      let record: { excess: number; last: number } | undefined;
      for (const pause of pauses) {
        clock.now += pause;
        const elapsed = record === undefined ? 0 : clock.now - record.last;
        const excess = record === undefined ? 0 : Math.max(0, record.excess - (rate * elapsed) / 1000 + 1);
        const verdict = limits.leakyBucket('k', rate, burst);
        if (Math.abs(excess - burst) > 1e-6) assert.equal(verdict.allowed, excess <= burst);
        if (verdict.allowed) {
          assert.ok(Math.abs(verdict.delaySeconds - excess / rate) < 1e-6);
          record = { excess, last: clock.now };
        }
      }
    }),
  );
});
