// Control planes and data planes are replaced in place: the connections between them, and the files.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority, dataPlaneIs, startControlPlane, startDataPlane } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/process.ts';
import { hasEnded, Upgrading } from '../support/upgrading.ts';

const mocking = (text: string) => ({ uri: `/${text}`, plugins: { mocking: { response_example: text } } });

test('both sides of a cluster are replaced; changes arrive, and the disk is written by one process', async (t) => {
  const [controls, edges] = [new Upgrading(t), new Upgrading(t)];
  const authority = new Authority(t);
  const control = await startControlPlane(t, { certificates: authority.options('control', 'serverAuth') });
  await control.put('routes/one', mocking('one'));
  const data = temporaryFolder(t);
  const options = {
    controlPlanes: [control.clusterOrigin],
    certificates: authority.options('edge', 'clientAuth'),
    data,
  };
  const edge = await startDataPlane(t, options);
  const formerEdge = await edges.upgrade(edge);
  await control.put('routes/two', mocking('two'));
  await eventually('it is live', async () => (await edge.call('/two')).body === 'two');
  const formerControl = await controls.upgrade(control);
  await eventually(
    'the Store is open',
    async () => (await control.put('routes/three', mocking('three'))).status < 300,
  );
  await eventually('it is live', async () => (await edge.call('/three')).body === 'three');
  for (const pid of [formerEdge, formerControl]) await eventually('it has ended', () => hasEnded(pid));
  await control.put('routes/four', mocking('four'));
  await eventually('it is live', async () => (await edge.call('/four')).body === 'four');
  await dataPlaneIs(control, 'edge', 'current');

  // What it leaves on the disk is whole.
  process.kill(controls.pid(control), 'SIGKILL');
  process.kill(edges.pid(edge), 'SIGTERM');
  assert.equal((await edge.exited).code, 0);
  const again = await startDataPlane(t, options);
  assert.match(again.stderr, /config +revision 4 from disk/);
  assert.equal((await again.call('/four')).body, 'four');
});
