import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import type { Change } from '../model/change.ts';
import { Snapshot } from '../model/snapshot.ts';
import { ChangeHistory } from './change-history.ts';
import { DataPlanes } from './data-planes.ts';
import type { SyncRequest } from './sync-messages.ts';

let snapshot: Snapshot;
let history: ChangeHistory;
let dataPlanes: DataPlanes;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['Date'], now: 1_000_000_000 });
  snapshot = new Snapshot();
  history = new ChangeHistory(snapshot);
  dataPlanes = new DataPlanes(history);
});

function write(revision: number): void {
  const value = { id: 'r', revision };
  const one = {
    kind: 'routes',
    id: 'r',
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: revision,
    value,
  } as const;
  const change: Change = { revision, puts: [one], removals: [] };
  snapshot.apply(change);
  history.record(change);
}

/** A report of what the control plane has at this moment, unless said otherwise. */
function report(more: Partial<SyncRequest> = {}): () => void {
  const { revision, digest } = history;
  return dataPlanes.report(
    {
      ...{
        instance: 'one',
        host: 'edge',
        version: '1',
        revision,
        digest,
        wait_ms: 0,
        stale: false,
        started_at: 5,
      },
      ...{ workers: [{ worker: 1, revision: more.revision ?? revision }], worker_restarts: 0 },
      ...more,
    },
    { address: '10.0.0.1', certificate: 'edge-1' },
  );
}

const status = () => dataPlanes.get('one')?.status;

test('one that has the newest revision is current, and behind when there is a newer one', () => {
  write(1);
  report();
  assert.equal(status(), 'current');
  mock.timers.tick(5_000);
  write(2);
  write(4);
  mock.timers.tick(3_000);
  assert.equal(status(), 'behind');
  assert.deepEqual(dataPlanes.get('one')?.lag, { revisions: 3, seconds: 3 });
});

test('one of whose workers is elsewhere is partly applied', () => {
  write(1);
  report({
    workers: [
      { worker: 1, revision: 1 },
      { worker: 2, revision: 0 },
    ],
  });
  assert.equal(status(), 'partly-applied');
});

test('one that has something else under the number has diverged', () => {
  write(1);
  report({ digest: 'other' });
  assert.equal(status(), 'diverged');
});

test('one that refused the newest revision has, with its reason, until there is a newer one', () => {
  write(1);
  const before = { revision: history.revision, digest: history.digest };
  write(2);
  report({ ...before, refused: { revision: 2, digest: history.digest, reason: 'unknown plugin' } });
  assert.deepEqual([status(), dataPlanes.get('one')?.reason], ['refused', 'unknown plugin']);
  write(3);
  assert.equal(status(), 'behind');
});

test('one that is not heard of is away, but not while it waits for its answer', () => {
  const answered = report();
  mock.timers.tick(60_000);
  assert.equal(status(), 'current');
  assert.equal(dataPlanes.get('one')?.last_seen, 1_000_060);
  answered();
  mock.timers.tick(9_000);
  assert.equal(status(), 'current');
  mock.timers.tick(2_000);
  assert.equal(status(), 'away');
  assert.equal(dataPlanes.get('one')?.last_seen, 1_000_060);
});

test('one that was away for a day is forgotten when another reports', () => {
  report()();
  mock.timers.tick(24 * 3_600_000 + 1);
  report({ instance: 'two' });
  assert.deepEqual(
    dataPlanes.list().map(({ id }) => id),
    ['two'],
  );
});

test('the history knows the steps since each state it has seen, as long as they are kept', () => {
  const states = [{ revision: 0, digest: history.digest }];
  for (let revision = 1; revision <= 1_500; revision++) {
    write(revision);
    states.push({ revision, digest: history.digest });
  }
  const since = (index: number) => history.since(states[index].revision, states[index].digest)?.length;
  assert.deepEqual([since(1_500), since(1_499), since(500)], [0, 1, 1_000]);
  assert.equal(since(499), undefined);
  assert.equal(history.since(1_500, states[1_499].digest), undefined);
});
