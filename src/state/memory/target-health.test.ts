import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allocateSharedState, SharedState } from './shared-state.ts';
import type { HealthEvent } from './target-health.ts';

const THRESHOLDS = { success: 2, tcp_failure: 2, http_failure: 3, timeout: 4 };
const EJECTION = { firstMs: 1000, longestMs: 5000 };

function fixture(workers = 2) {
  const clock = { now: 1_000_000 };
  const buffers = allocateSharedState({ workers, healthSlots: 64 });
  const main = new SharedState(buffers, undefined, () => clock.now);
  const open = (worker: number) =>
    new SharedState(buffers, { worker, incarnation: main.membership.admit(worker) }, () => clock.now);
  return { clock, main, open, buffers };
}

function times(count: number, report: () => void): void {
  for (let i = 0; i < count; i++) report();
}

test('failures seen by several workers add up, and one success begins anew', () => {
  const { main, open } = fixture();
  const [one, other] = [open(1).health.target('u', 't'), open(2).health.target('u', 't')];
  const seen = main.health.target('u', 't');
  one.report('http_failure', THRESHOLDS);
  other.report('http_failure', THRESHOLDS);
  assert.equal(seen.status, 'mostly_healthy');
  assert.equal(seen.counter.http_failure, 2);
  one.report('success', THRESHOLDS);
  assert.equal(seen.status, 'healthy');
  one.report('http_failure', THRESHOLDS);
  other.report('http_failure', THRESHOLDS);
  assert.equal(other.report('http_failure', THRESHOLDS), true);
  assert.equal(seen.status, 'unhealthy');
  one.report('success', THRESHOLDS);
  assert.equal(seen.status, 'mostly_unhealthy');
  assert.equal(other.report('success', THRESHOLDS), true);
  assert.equal(seen.status, 'healthy');
});

test('a success of a Target of which nothing bad is known writes nothing', () => {
  const { main, buffers } = fixture();
  const target = main.health.target('u', 't');
  const before = Buffer.from(new Uint8Array(buffers.health)).toString('hex');
  times(10, () => target.report('success', THRESHOLDS));
  assert.equal(Buffer.from(new Uint8Array(buffers.health)).toString('hex'), before);
});

test('the version changes with a status and with nothing else', () => {
  const { main } = fixture();
  const target = main.health.target('u', 't');
  const start = main.health.version;
  target.report('tcp_failure', THRESHOLDS);
  target.report('success', THRESHOLDS);
  assert.equal(main.health.version, start);
  times(2, () => target.report('tcp_failure', THRESHOLDS));
  assert.equal(main.health.version, start + 1);
  times(5, () => target.report('tcp_failure', THRESHOLDS));
  assert.equal(main.health.version, start + 1);
  times(2, () => target.report('success', THRESHOLDS));
  assert.equal(main.health.version, start + 2);
});

test('an event whose threshold is 0 is not counted', () => {
  const { main } = fixture();
  const target = main.health.target('u', 't');
  times(100, () => target.report('timeout', { ...THRESHOLDS, timeout: 0 }));
  assert.equal(target.status, 'healthy');
});

test('an ejected Target is on trial when its time is over: one failure ejects it for twice as long', () => {
  const { clock, main } = fixture();
  const target = main.health.target('u', 't');
  const lengths: number[] = [];
  times(2, () => target.report('tcp_failure', THRESHOLDS, EJECTION));
  for (let i = 0; i < 5; i++) {
    lengths.push(target.ejectedUntil - clock.now);
    target.report('tcp_failure', THRESHOLDS, EJECTION);
    assert.equal(target.ejectedUntil - clock.now, lengths[i], 'a late failure does not count');
    clock.now = target.ejectedUntil;
    assert.equal(target.status, 'mostly_unhealthy');
    target.report('tcp_failure', THRESHOLDS, EJECTION);
  }
  assert.deepEqual(lengths, [1000, 2000, 4000, 5000, 5000]);
  clock.now = target.ejectedUntil;
  times(2, () => target.report('success', THRESHOLDS, EJECTION));
  assert.equal(target.status, 'healthy');
  clock.now += 5001;
  times(2, () => target.report('tcp_failure', THRESHOLDS, EJECTION));
  assert.equal(target.ejectedUntil - clock.now, 1000, 'forgiven after it was sound for long');
});

test('a Target warms up since its return, or since its trial began', () => {
  const { clock, main } = fixture();
  const target = main.health.target('u', 't');
  assert.equal(target.warmingSince, 0);
  times(2, () => target.report('tcp_failure', THRESHOLDS));
  clock.now += 100;
  times(2, () => target.report('success', THRESHOLDS));
  assert.equal(target.warmingSince, clock.now);
  times(2, () => target.report('tcp_failure', THRESHOLDS, EJECTION));
  const trial = target.ejectedUntil;
  clock.now = trial + 500;
  times(2, () => target.report('success', THRESHOLDS, EJECTION));
  assert.equal(target.warmingSince, trial);
});

test('a Target that was removed and comes back has no past, for whoever looked at it before, too', () => {
  const { main, open } = fixture();
  const worker = open(1).health.target('u', 't');
  times(2, () => worker.report('tcp_failure', THRESHOLDS));
  main.health.target('u', 't').forget();
  assert.equal(worker.unhealthy, false);
  times(2, () => worker.report('tcp_failure', THRESHOLDS));
  assert.equal(main.health.target('u', 't').unhealthy, true);
});

test('an evaluation sees health and leaves no trace', () => {
  const { main, buffers } = fixture();
  const peeking = main.peekHealth().target('u', 't');
  const before = Buffer.from(new Uint8Array(buffers.health)).toString('hex');
  assert.equal(peeking.unhealthy, false);
  times(9, () => peeking.report('tcp_failure', THRESHOLDS));
  assert.equal(Buffer.from(new Uint8Array(buffers.health)).toString('hex'), before);
  times(2, () => main.health.target('u', 't').report('tcp_failure', THRESHOLDS));
  assert.equal(peeking.unhealthy, true);
});

test('agrees with a model that remembers every event since the last change of sides', () => {
  const events = fc.array(fc.constantFrom<HealthEvent>('success', 'tcp_failure', 'http_failure', 'timeout'));
  fc.assert(
    fc.property(events, (sequence) => {
      const { main } = fixture();
      const target = main.health.target('u', 't');
      let unhealthy = false;
      let since: HealthEvent[] = [];
      for (const event of sequence) {
        target.report(event, THRESHOLDS);
        const success = event === 'success';
        if (success !== (since[0] === 'success')) since = [];
        since.push(event);
        const count = since.filter((one) => one === event).length;
        if (success === unhealthy && count >= THRESHOLDS[event]) {
          unhealthy = !unhealthy;
          since = [];
        } else if (success !== unhealthy) since = [];
        assert.equal(target.unhealthy, unhealthy, sequence.join());
      }
    }),
  );
});
