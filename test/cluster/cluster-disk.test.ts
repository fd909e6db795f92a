// What a data plane does with its disk when no control plane answers.

import assert from 'node:assert/strict';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import {
  Authority,
  dataPlaneIs,
  launchDataPlane,
  startControlPlane,
  startDataPlane,
} from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call, inParallel } from '../support/http-call.ts';
import { temporaryFolder } from '../support/process.ts';

const scope = { after: (callback: () => void) => after(callback) };
const authority = new Authority(scope);
const CONTROL = authority.options('control', 'serverAuth');
const EDGE = authority.options('edge', 'clientAuth');

function mocking(text: string): object {
  return { uri: `/${text}`, plugins: { mocking: { response_example: text } } };
}

test('without its control plane a data plane goes on, starts again from disk, and catches up', async (t) => {
  const [port, data, store] = [await freePort(), temporaryFolder(t), temporaryFolder(t)];
  const controlOptions = { certificates: CONTROL, port, data: store };
  const control = await startControlPlane(t, controlOptions);
  await control.put('routes/one', mocking('one'));
  const edgeOptions = { controlPlanes: [control.clusterOrigin], certificates: EDGE, data };
  const edge = await startDataPlane(t, edgeOptions);
  await control.put('routes/two', mocking('two'));
  await eventually('it is live', async () => (await edge.call('/two')).body === 'two');
  await control.kill();
  const answers = await inParallel(200, 8, () => edge.call('/two'));
  assert.ok(answers.every(({ body }) => body === 'two'));
  await eventually('it is noticed', async () =>
    /^sluice_control_plane_connected 0$/m.test((await call(edge.metrics)).body),
  );
  edge.signal('SIGTERM');
  assert.equal((await edge.exited).code, 0);

  const again = await startDataPlane(t, edgeOptions);
  assert.match(again.stderr, /config +revision 2 from disk/);
  assert.equal((await again.call('/two')).body, 'two');
  assert.match((await call(again.metrics)).body, /^sluice_config_stale 1$/m);
  const readiness = new URL('/status/ready', again.metrics).href;
  assert.equal((await call(readiness)).body, '{"status":"ok","stale":true}');

  const revived = await startControlPlane(t, controlOptions);
  await revived.put('routes/three', mocking('three'));
  await eventually('it has caught up', async () => (await again.call('/three')).body === 'three');
  await dataPlaneIs(revived, 'edge', 'current');
  await eventually(
    'it is ready without reserve',
    async () => (await call(readiness)).body === '{"status":"ok"}',
  );
  await eventually('it is no longer stale', async () =>
    /^sluice_config_stale 0$/m.test((await call(again.metrics)).body),
  );
});

test('a data plane with nothing good on disk waits for a control plane, and says why', async (t) => {
  const [port, data] = [await freePort(), temporaryFolder(t)];
  writeFileSync(
    path.join(data, 'snapshot.jsonl'),
    '{"format":"sluice-snapshot-1","revision":3,"resources":1,"sha256":"00"}\n{"kind"',
  );
  const waiting = launchDataPlane(t, {
    controlPlanes: [`https://127.0.0.1:${port}`],
    certificates: EDGE,
    data,
  });
  await eventually('it says so', () =>
    waiting.stderr.includes('nothing is served before a control plane gives a configuration'),
  );
  assert.match(waiting.stderr, /snapshot\.jsonl is damaged: its checksum is not that of its content/);
  assert.doesNotMatch(waiting.stderr, /^ {2}traffic/m);
  const control = await startControlPlane(t, { certificates: CONTROL, port });
  await waiting.ready();
  await dataPlaneIs(control, 'edge', 'current');
  waiting.signal('SIGTERM');
  assert.equal((await waiting.exited).code, 0);
  // A file that a disk cut off is found out the same way.
  await control.kill();
  truncateSync(path.join(data, 'snapshot.jsonl'), statSync(path.join(data, 'snapshot.jsonl')).size - 1);
  const cut = launchDataPlane(t, { controlPlanes: [`https://127.0.0.1:${port}`], certificates: EDGE, data });
  await eventually('it says so', () => cut.stderr.includes('is damaged'));
});
