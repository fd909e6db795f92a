// Real worker threads on one key. The file is also the workers' own program.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker, workerData } from 'node:worker_threads';
import { monotonic } from './monotonic-clock.ts';
import { allocateSharedState, SharedState, type SharedStateBuffers } from './shared-state.ts';

interface Job {
  readonly name: keyof typeof JOBS;
  readonly buffers: SharedStateBuffers;
  readonly worker: number;
  readonly incarnation: number;
  /** Shared: what the job counts, see there. */
  readonly tally: Int32Array;
}

const LIMIT = 5000;
const ATTEMPTS = 25_000;
const WORKERS = 3;
const INSIDE = 3;
const MOST_INSIDE = 4;
const ROUND = 5;
const ROUNDS = 20;
const ROUND_LIMIT = 20_000;

const FAILURES = 5000;
const THRESHOLDS = { success: 1, tcp_failure: 1, http_failure: 15_000, timeout: 1 };
const PROBES = 7;
const BREAKER = {
  type: 'ratio',
  failureRatio: 1,
  minRequests: 15_000,
  windowMs: 3_600_000,
  openMs: 3_600_000,
  probes: PROBES,
  successRatio: 1,
} as const;

const JOBS = {
  /** tally[0..2]: allowed by each algorithm; [3]: inside now; [4]: most inside ever. */
  spend({ limits, counters }: SharedState, tally: Int32Array): void {
    for (let i = 0; i < ATTEMPTS; i++) {
      if (limits.fixedWindow('fixed', LIMIT, 3600, 1).allowed) Atomics.add(tally, 0, 1);
      if (limits.slidingWindow('sliding', LIMIT, 86_400 * 365, 1).allowed) Atomics.add(tally, 1, 1);
      if (limits.leakyBucket('leaky', 1e-9, LIMIT - 1).allowed) Atomics.add(tally, 2, 1);
      if (limits.enter('concurrency', 2).allowed) {
        const inside = Atomics.add(tally, INSIDE, 1) + 1;
        if (inside > Atomics.load(tally, MOST_INSIDE)) Atomics.store(tally, MOST_INSIDE, inside);
        Atomics.sub(tally, INSIDE, 1);
        limits.leave('concurrency');
      }
      counters.nextTicket('ticket');
    }
  },

  /** tally[ROUND]: the current round; [ROUND + 1 + worker]: progress; [100 + round]: allowed in it. */
  hammer({ limits }: SharedState, tally: Int32Array, worker: number): void {
    for (;;) {
      const round = Atomics.load(tally, ROUND);
      if (limits.fixedWindow(`round-${round}`, ROUND_LIMIT, 3600, 1).allowed)
        Atomics.add(tally, 100 + round, 1);
      if (limits.enter('concurrency', 2).allowed) limits.leave('concurrency');
      Atomics.add(tally, ROUND + 1 + worker, 1);
    }
  },

  /** tally[0]: times that this opened the breaker; [1]: that a Target became unhealthy; [2]: probes let through. */
  fail({ breakers, health }: SharedState, tally: Int32Array): void {
    const target = health.target('u', 't');
    const other = health.target('u', 'other');
    for (let i = 0; i < FAILURES; i++) {
      if (target.report('http_failure', THRESHOLDS)) Atomics.add(tally, 1, 1);
      other.report('http_failure', { ...THRESHOLDS, http_failure: 1e9 });
      const admission = breakers.admit('closed', BREAKER);
      if (admission === 0 && breakers.report('closed', BREAKER, 0, 'failure') === 'open')
        Atomics.add(tally, 0, 1);
      if (breakers.admit('half-open', BREAKER) < 0) Atomics.add(tally, 2, 1);
    }
  },

  /** tally[0]: the clock in microseconds, the low 32 bits. */
  clock(_state: SharedState, tally: Int32Array): void {
    Atomics.store(tally, 0, Math.round(monotonic() * 1000) | 0);
  },
};

function isJob(data: unknown): data is Job {
  return typeof data === 'object' && data !== null && 'buffers' in data;
}

function start(state: SharedState, job: Omit<Job, 'incarnation'>): Worker {
  const incarnation = state.membership.admit(job.worker);
  const thread = new Worker(new URL(import.meta.url), { workerData: { ...job, incarnation } });
  thread.once('exit', () => state.limits.releaseWorker(job.worker));
  return thread;
}

function tallyOf(length: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(length * 4));
}

if (isJob(workerData)) {
  const { name, buffers, worker, incarnation, tally } = workerData;
  JOBS[name](new SharedState(buffers, { worker, incarnation }), tally, worker);
} else {
  test('exactly the limit passes, whichever of four workers asks', async () => {
    const buffers = allocateSharedState({ workers: 4 });
    const state = new SharedState(buffers);
    const tally = tallyOf(8);
    const threads = [1, 2, 3, 4].map((worker) => start(state, { name: 'spend', buffers, worker, tally }));
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
    assert.deepEqual([...tally.slice(0, 3)], [LIMIT, LIMIT, LIMIT]);
    assert.ok(tally[MOST_INSIDE] >= 1 && tally[MOST_INSIDE] <= 2, `${tally[MOST_INSIDE]} were inside`);
    assert.equal(state.counters.nextTicket('ticket'), 4 * ATTEMPTS);
    assert.equal(state.evictions, 0);
  });

  test('workers killed at any moment block nobody and let nothing above the limit pass', async () => {
    const buffers = allocateSharedState({ workers: WORKERS });
    const state = new SharedState(buffers);
    const tally = tallyOf(100 + ROUNDS);
    const launch = (worker: number) => start(state, { name: 'hammer', buffers, worker, tally });
    const threads = Array.from({ length: WORKERS }, (_, i) => launch(i + 1));
    const progress = async (worker: number) => {
      const before = Atomics.load(tally, ROUND + 1 + worker);
      for (let wait = 0; Atomics.load(tally, ROUND + 1 + worker) === before; wait++) {
        assert.ok(wait < 10_000, `worker ${worker} is blocked`);
        await sleep(1);
      }
    };
    for (let worker = 1; worker <= WORKERS; worker++) await progress(worker);
    for (let round = 0; round < ROUNDS; round++) {
      Atomics.store(tally, ROUND, round);
      const victim = 1 + (round % WORKERS);
      await sleep(Math.random() * 4);
      await threads[victim - 1].terminate();
      for (let worker = 1; worker <= WORKERS; worker++) if (worker !== victim) await progress(worker);
      threads[victim - 1] = launch(victim);
    }
    await Promise.all(threads.map((thread) => thread.terminate()));
    for (let round = 0; round < ROUNDS; round++) {
      let allowed = tally[100 + round];
      while (state.limits.fixedWindow(`round-${round}`, ROUND_LIMIT, 3600, 1).allowed) allowed++;
      // A worker that is killed after its count and before its report takes one with it; in a round
      // that may happen to all at the end.
      assert.ok(allowed <= ROUND_LIMIT && allowed >= ROUND_LIMIT - WORKERS, `${allowed} in round ${round}`);
    }
    assert.deepEqual({ ...state.limits.enter('concurrency', 2) }, { allowed: true, current: 1 });
  });

  test('failures that four workers see add up exactly, and exactly the probes are let through', async () => {
    const buffers = allocateSharedState({ workers: 4 });
    const state = new SharedState(buffers);
    const tally = tallyOf(3);
    const atOnce = { ...BREAKER, minRequests: 1, openMs: 0 };
    state.breakers.report('half-open', atOnce, 0, 'failure');
    const threads = [1, 2, 3, 4].map((worker) => start(state, { name: 'fail', buffers, worker, tally }));
    await Promise.all(threads.map((thread) => once(thread, 'exit')));
    assert.deepEqual([...tally], [1, 1, PROBES]);
    assert.equal(state.health.target('u', 'other').counter.http_failure, 4 * FAILURES);
    assert.equal(state.health.version, 1);
    assert.ok(state.breakers.admit('closed', BREAKER) > 0);
  });

  test('all threads agree on the monotonic clock', async () => {
    const buffers = allocateSharedState({ workers: 1 });
    const tally = tallyOf(1);
    const before = Math.round(monotonic() * 1000) | 0;
    await once(start(new SharedState(buffers), { name: 'clock', buffers, worker: 1, tally }), 'exit');
    const after = Math.round(monotonic() * 1000) | 0;
    assert.ok(((tally[0] - before) | 0) >= -50 && ((after - tally[0]) | 0) >= -50);
  });
}
