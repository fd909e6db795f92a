import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RetryBudget } from './retry-budget.ts';

/** Retries that were allowed for so many requests, each of which would like `wanted`. */
function retries(budget: RetryBudget, requests: number, wanted: number, answered = false): number {
  let count = 0;
  for (let i = 0; i < requests; i++) {
    budget.requests++;
    for (let j = 0; j < wanted && budget.allows; j++) {
      count++;
      if (!answered) budget.charge();
    }
  }
  return count;
}

test('retries that help nobody are a share of the requests, after the reserve is used up', () => {
  assert.equal(
    retries(new RetryBudget({ percent: 20, reserve: 10 }), 1000, 3),
    209,
    'less one fifth, which was above the reserve at first',
  );
  assert.equal(retries(new RetryBudget({ percent: 0, reserve: 0 }), 1000, 3), 0);
  const bare = retries(new RetryBudget({ percent: 10, reserve: 0 }), 1000, 3);
  assert.ok(bare >= 99 && bare <= 100, String(bare));
});

test('retries that are answered have no end', () => {
  assert.equal(retries(new RetryBudget({ percent: 20, reserve: 10 }), 1000, 1, true), 1000);
});

test('a quiet time saves up no more than the reserve', () => {
  const budget = new RetryBudget({ percent: 20, reserve: 10 });
  budget.requests += 1_000_000;
  assert.equal(retries(budget, 1, 1000), 10);
});

test('many at once may be retried, and pay together for what failed', () => {
  const budget = new RetryBudget({ percent: 20, reserve: 10 });
  budget.requests += 100;
  let allowed = 0;
  for (let i = 0; i < 100; i++) if (budget.allows) allowed++;
  assert.equal(allowed, 100);
  for (let i = 0; i < 100; i++) budget.charge();
  assert.equal(retries(budget, 450, 1), 0);
  assert.equal(retries(budget, 50, 1), 10);
});

test('a reload gives no new reserve', () => {
  const first = new RetryBudget({ percent: 20, reserve: 10 });
  retries(first, 100, 3);
  assert.ok(retries(new RetryBudget({ percent: 20, reserve: 10 }, first), 1, 10) <= 1);
});
