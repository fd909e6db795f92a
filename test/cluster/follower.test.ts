// The two ends of a cluster in one process, over real connections.

import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { ChangeHistory } from '../../src/cluster/change-history.ts';
import { ClusterServer } from '../../src/cluster/cluster-server.ts';
import { ControlPlaneClient } from '../../src/cluster/control-plane-client.ts';
import { DataPlanes } from '../../src/cluster/data-planes.ts';
import { Follower } from '../../src/cluster/follower.ts';
import { SnapshotFile } from '../../src/cluster/snapshot-file.ts';
import type { SyncAnswer, SyncRequest } from '../../src/cluster/sync-messages.ts';
import type { Configuration } from '../../src/model/configuration.ts';
import type { Operation } from '../../src/model/operation.ts';
import { TestClock, testConfiguration } from '../../src/model/testing.ts';
import { Authority } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/process.ts';

const scope = { after: (callback: () => void) => after(callback) };
const authority = new Authority(scope);
const filesOf = ([, cert, , key, , ca]: readonly string[]) => ({ cert, key, ca });
const CONTROL = filesOf(authority.options('control', 'serverAuth'));
const EDGE = filesOf(authority.options('edge', 'clientAuth'));
const silent = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

type Scope = { after(callback: () => Promise<void> | void): void };

class Control {
  readonly configuration = testConfiguration();
  readonly history = new ChangeHistory(this.configuration.snapshot);
  readonly dataPlanes = new DataPlanes(this.history);
  refresh = () => Promise.resolve();
  #server: ClusterServer | undefined;

  static async start(t: Scope): Promise<Control> {
    const control = new Control();
    await control.listen();
    t.after(() => control.close());
    return control;
  }

  async listen(port = 0, certificates = CONTROL): Promise<void> {
    const { configuration, history, dataPlanes } = this;
    this.#server = await ClusterServer.listen({
      host: '127.0.0.1',
      port,
      certificates,
      snapshot: configuration.snapshot,
      history,
      dataPlanes,
      refresh: () => this.refresh(),
      log: silent,
    });
  }

  reloadCertificates(): void {
    this.#server?.reloadCertificates();
  }

  get url(): string {
    return `https://${this.#server?.at}`;
  }

  do(operation: Operation): void {
    const plan = this.configuration.plan(operation);
    assert.ok(plan.ok, JSON.stringify(plan));
    this.configuration.commit(plan.change);
    this.history.record(plan.change);
  }

  put(id: string, more: object = {}): void {
    this.do({
      type: 'put',
      kind: 'routes',
      id,
      value: { uri: `/${id}`, plugins: { 'proxy-rewrite': {} }, ...more },
    });
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }
}

interface Edge {
  readonly configuration: Configuration;
  readonly follower: Follower;
  readonly logged: string[];
  readonly file: string;
}

interface EdgeOptions {
  readonly file?: string;
  readonly clock?: TestClock;
  readonly certificates?: typeof EDGE;
  readonly instance?: string;
}

function startEdge(t: Scope, urls: readonly string[], options: EdgeOptions = {}): Edge {
  const { file, clock, certificates = EDGE, instance = 'edge-1' } = options;
  const configuration = testConfiguration(clock);
  const logged: string[] = [];
  const place = file ?? path.join(temporaryFolder(t), 'snapshot.jsonl');
  const say = (message: string) => void logged.push(message);
  const follower = new Follower({
    configuration,
    client: new ControlPlaneClient(urls, certificates),
    file: new SnapshotFile(place),
    apply: async () => {},
    about: () => ({
      instance,
      host: 'edge',
      version: '1',
      started_at: 1,
      workers: [],
      worker_restarts: 0,
    }),
    onState: () => {},
    log: { error: say, warn: say, info: say, debug: say },
  });
  t.after(() => follower.close());
  return { configuration, follower, logged, file: place };
}

function contentOf({ revision, snapshot }: Configuration): unknown {
  const all = snapshot.all().toSorted((a, b) => (a.kind + a.id < b.kind + b.id ? -1 : 1));
  return [revision, all.map(({ kind, id, modifiedRevision, value }) => [kind, id, modifiedRevision, value])];
}

async function arrives(control: Control, { configuration }: Edge): Promise<void> {
  await eventually('it has arrived', () => configuration.revision === control.configuration.revision);
  assert.deepEqual(contentOf(configuration), contentOf(control.configuration));
}

test('follows any Changes through any interruptions, and what is on disk is one revision of them', async (t) => {
  const control = await Control.start(t);
  const port = Number(new URL(control.url).port);
  const edge = startEdge(t, [control.url]);
  assert.ok(await edge.follower.begin(5_000));
  const running = edge.follower.run();
  const history = new Map<number, unknown>();
  const someStep = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd'),
    action: fc.constantFrom('put', 'put', 'delete', 'interrupt', 'wait'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(someStep, { minLength: 5, maxLength: 25 }), async (steps) => {
      for (const { id, action } of steps) {
        if (action === 'put') control.put(id, { desc: String(Math.random()) });
        else if (action === 'delete') {
          if (control.configuration.snapshot.has('routes', id))
            control.do({ type: 'delete', kind: 'routes', id });
        } else if (action === 'wait') await new Promise(setImmediate);
        else {
          await control.close();
          await control.listen(port);
        }
        history.set(control.configuration.revision, contentOf(control.configuration));
      }
      await arrives(control, edge);
    }),
    { numRuns: 5 },
  );
  await edge.follower.close();
  await running;
  const stored = await new SnapshotFile(edge.file).read();
  const fromDisk = testConfiguration();
  assert.deepEqual(fromDisk.load(stored!), []);
  assert.deepEqual(contentOf(fromDisk), history.get(fromDisk.revision));
  assert.equal(fromDisk.revision, control.configuration.revision);
});

test('goes on from its disk by the steps since, and gets everything only where they are unknown', async (t) => {
  const control = await Control.start(t);
  control.put('a');
  const first = startEdge(t, [control.url]);
  await first.follower.begin(5_000);
  await first.follower.close();
  control.put('b');
  const answers: SyncAnswer[] = [];
  const spied = await spy(t, control, answers);
  const second = startEdge(t, [spied], { file: first.file });
  assert.ok(await second.follower.beginFromDisk());
  assert.ok(second.follower.stale);
  assert.ok(await second.follower.begin(5_000));
  void second.follower.run();
  await arrives(control, second);
  assert.ok(!second.follower.stale);
  assert.deepEqual(
    answers.map((answer) => ('changes' in answer ? answer.changes.length : 'all')),
    [1],
  );
  // Another control plane on the same place, whose history is another one.
  const other = await Control.start(t);
  for (const id of ['x', 'y', 'z']) other.put(id);
  const third = startEdge(t, [other.url], { file: first.file });
  await third.follower.beginFromDisk();
  void third.follower.run();
  await arrives(other, third);
});

test('takes nothing of a revision that arrives by halves: asks for all of it, and refuses it otherwise', async (t) => {
  const control = await Control.start(t);
  control.put('a');
  let tamper = (answer: SyncAnswer): SyncAnswer => answer;
  const answers: SyncAnswer[] = [];
  const edge = startEdge(t, [await spy(t, control, answers, (answer) => tamper(answer))]);
  await edge.follower.begin(5_000);
  void edge.follower.run();
  await arrives(control, edge);
  // One that loses a resource of the step, but sends the whole rightly.
  tamper = (answer) =>
    'changes' in answer
      ? { ...answer, changes: answer.changes.map((one) => ({ ...one, puts: [] })) }
      : answer;
  control.put('b');
  await arrives(control, edge);
  // One that loses a resource always.
  const before = contentOf(edge.configuration);
  tamper = (answer) =>
    'resources' in answer
      ? { ...answer, resources: answer.resources.slice(1) }
      : { ...answer, changes: [{ ...answer.changes[0], puts: [] }] };
  control.put('c');
  await eventually('it is refused', () => control.dataPlanes.get('edge-1')?.status === 'refused');
  assert.match(control.dataPlanes.get('edge-1')?.reason ?? '', /^revision 3 did not arrive whole/);
  assert.deepEqual(contentOf(edge.configuration), before);
  // Once the way is sound, the next revision brings everything.
  tamper = (answer) => answer;
  control.put('d');
  await arrives(control, edge);
  await eventually('it is current', () => control.dataPlanes.get('edge-1')?.status === 'current');
});

test('does not go back because a control plane is behind, but does when the store went back', async (t) => {
  const [ahead, behind] = [await Control.start(t), await Control.start(t)];
  for (const control of [ahead, behind]) control.put('a');
  ahead.put('b');
  behind.refresh = () => Promise.reject(new Error('the store is away'));
  const edge = startEdge(t, [ahead.url, behind.url]);
  await edge.follower.begin(5_000);
  void edge.follower.run();
  await arrives(ahead, edge);
  await ahead.close();
  await eventually('the other one was asked', () =>
    edge.logged.some((line) => line.includes('no control plane answers')),
  );
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(edge.configuration.revision, 2);
  // It catches up as soon as it is asked by one that is ahead.
  behind.refresh = async () => void (behind.configuration.revision === 1 && behind.put('late'));
  await eventually('it follows the other one', () => edge.configuration.snapshot.has('routes', 'late'));
  // And a store that was put back to an older state is right about it.
  const restored = await Control.start(t);
  const port = Number(new URL(behind.url).port);
  await behind.close();
  await restored.close();
  await restored.listen(port);
  await eventually('it went back', () => edge.configuration.revision === 0);
  assert.deepEqual(contentOf(edge.configuration), [0, []]);
});

test('ends what has a time to live also when no control plane says so', async (t) => {
  const control = await Control.start(t);
  const clock = new TestClock();
  control.put('stays');
  control.do({
    type: 'put',
    kind: 'routes',
    id: 'goes',
    value: { uri: '/goes', plugins: { 'proxy-rewrite': {} } },
    ttl: 0.05,
  });
  const edge = startEdge(t, [control.url], { clock });
  await edge.follower.begin(5_000);
  void edge.follower.run();
  const port = Number(new URL(control.url).port);
  await control.close();
  assert.ok(edge.configuration.snapshot.has('routes', 'goes'));
  clock.advance(60);
  await eventually('it is gone', () => !edge.configuration.snapshot.has('routes', 'goes'));
  assert.ok(edge.configuration.snapshot.has('routes', 'stays'));
  await eventually('also on disk', () => !readFileSync(edge.file, 'utf8').includes('/goes'));
  // A control plane that has ended it, too, and doesn't know how that came.
  const { revision, snapshot } = control.configuration;
  const puts = snapshot.all().filter(({ id }) => id === 'stays');
  const next = new Control();
  next.configuration.commit({ revision: revision + 1, puts, removals: [] });
  next.history.record({ revision: revision + 1, puts, removals: [] });
  await next.listen(port);
  t.after(() => next.close());
  await arrives(next, edge);
});

test('twenty data planes have each revision, and the control plane knows', async (t) => {
  const control = await Control.start(t);
  const edges = Array.from({ length: 20 }, (_, index) =>
    startEdge(t, [control.url], { instance: `edge-${index}` }),
  );
  for (const { follower } of edges) {
    assert.ok(await follower.begin(5_000));
    void follower.run();
  }
  for (let write = 0; write < 10; write++) {
    control.put(`r${write}`);
    for (const edge of edges) await arrives(control, edge);
  }
  await eventually('all are current', () => {
    const list = control.dataPlanes.list();
    return (
      list.length === 20 && list.every(({ status, revision }) => status === 'current' && revision === 10)
    );
  });
});

test('certificates are replaced while both run', async (t) => {
  const folder = temporaryFolder(t);
  const inFolder = (name: string) => {
    const at = (end: string) => path.join(folder, name + end);
    return { cert: at('.crt'), key: at('.key'), ca: at('.ca') };
  };
  const copy = (from: typeof EDGE, to: typeof EDGE) => {
    for (const end of ['cert', 'key', 'ca'] as const) copyFileSync(from[end], to[end]);
  };
  const [ofControl, ofEdge] = [inFolder('control'), inFolder('edge')];
  copy(CONTROL, ofControl);
  copy(EDGE, ofEdge);
  const control = new Control();
  await control.listen(0, ofControl);
  t.after(() => control.close());
  const edge = startEdge(t, [control.url], { certificates: ofEdge });
  assert.ok(await edge.follower.begin(5_000));
  void edge.follower.run();
  copy(filesOf(authority.options('edge-renewed', 'clientAuth')), ofEdge);
  control.put('a');
  await eventually(
    'it shows the new one',
    () => control.dataPlanes.get('edge-1')?.certificate === 'edge-renewed',
  );
  // Another authority altogether: who has no certificate of it is not let in any more.
  const next = new Authority(t);
  copy(filesOf(next.options('control', 'serverAuth')), ofControl);
  control.reloadCertificates();
  const late = startEdge(t, [control.url], { instance: 'late' });
  assert.equal(await late.follower.begin(300), false);
  copy(filesOf(next.options('edge', 'clientAuth')), ofEdge);
  control.put('b');
  await arrives(control, edge);
  // What is no good changes nothing.
  writeFileSync(ofControl.cert, 'nonsense');
  control.reloadCertificates();
  control.put('c');
  await arrives(control, edge);
});

test('refuses URLs that are none, and certificates that are not there', () => {
  for (const url of ['http://127.0.0.1:1', 'https://u:p@x', 'https://x/path', 'nonsense']) {
    assert.throws(() => new ControlPlaneClient([url], EDGE), /--control-plane must be like https/);
  }
  assert.throws(
    () => new ControlPlaneClient(['https://x'], { ...EDGE, ca: '/nowhere' }),
    /--cluster-ca: ENOENT/,
  );
});

/** Stands between a data plane and its control plane, notes the answers and may change them; its URL. */
async function spy(
  t: Scope,
  control: Control,
  answers: SyncAnswer[],
  tamper = (answer: SyncAnswer): SyncAnswer => answer,
): Promise<string> {
  const client = new ControlPlaneClient([control.url], EDGE);
  const read = ({ cert, key, ca }: typeof CONTROL) => ({
    cert: readFileSync(cert),
    key: readFileSync(key),
    ca: readFileSync(ca),
  });
  const server = createServer({ ...read(CONTROL), requestCert: true }, async (request, response) => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    let body = '';
    for await (const part of request) body += part;
    try {
      const answer = await client.sync(JSON.parse(body) as SyncRequest, gone.signal);
      if (answer === undefined) return void response.writeHead(204).end();
      answers.push(answer);
      response.end(JSON.stringify(tamper(answer)));
    } catch {
      response.destroy();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('waits on where the first configuration of all can not be taken', async (t) => {
  const control = await Control.start(t);
  // As of a control plane that has a Plugin more.
  const foreign = {
    kind: 'routes',
    id: 'own',
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
  } as const;
  const put = { ...foreign, value: { uri: '/own', plugins: { own: {} } } };
  const change = { revision: 1, puts: [put], removals: [] };
  control.configuration.snapshot.apply(change);
  control.history.record(change);
  const edge = startEdge(t, [control.url]);
  assert.equal(await edge.follower.begin(5_000), false);
  let began: boolean | undefined;
  const beginning = edge.follower.begin(Number.POSITIVE_INFINITY).then((result) => {
    began = result;
  });
  await eventually('it is refused', () => control.dataPlanes.get('edge-1')?.status === 'refused');
  assert.equal(began, undefined);
  const removal = { revision: 2, puts: [], removals: [{ kind: 'routes', id: 'own' } as const] };
  control.configuration.snapshot.apply(removal);
  control.history.record(removal);
  await beginning;
  assert.equal(began, true);
  assert.equal(edge.configuration.revision, 2);
});
