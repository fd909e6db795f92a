// The whole: two control planes on one PostgreSQL, and a data plane that follows either.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Authority, dataPlaneIs, startControlPlane, startDataPlane } from '../support/cluster.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { temporaryFolder } from '../support/process.ts';

const server = await PostgresServer.start({ after });
const authority = new Authority({ after: (callback: () => void) => after(callback) });
const CONTROL = authority.options('control', 'serverAuth');
const EDGE = authority.options('edge', 'clientAuth');

test('whichever control plane is written at, and whichever is lost, traffic is served as configured', async (t) => {
  const database = await server.database();
  const env = { SLUICE_STORE: database, SLUICE_ENCRYPTION_KEY: '5a'.repeat(32) };
  const [left, right] = await Promise.all(
    [1, 2].map(() => startControlPlane(t, { certificates: CONTROL, env })),
  );
  const echo = await startEcho(t);
  await left.put('upstreams/echo', { nodes: { [echo.address]: 1 } });
  await right.put('routes/always', { uri: '/always', upstream_id: 'echo' });
  const controlPlanes = [left.clusterOrigin, right.clusterOrigin];
  const edge = await startDataPlane(t, { controlPlanes, certificates: EDGE, data: temporaryFolder(t) });

  const statuses: number[] = [];
  let isCalling = true;
  const calling = (async () => {
    while (isCalling) statuses.push((await edge.call('/always')).status);
  })();
  const putAt = async (control: typeof left, id: string) => {
    await control.put(`routes/${id}`, { uri: `/${id}`, upstream_id: 'echo' });
    await eventually(`${id} is live`, async () => (await edge.call(`/${id}`)).status === 200);
  };
  await eventually('it is live', async () => (await edge.call('/always')).status === 200);
  statuses.length = 0;
  await putAt(left, 'a');
  // It follows the one, and is told by the database what the other was told.
  await dataPlaneIs(left, 'edge', 'current');
  await putAt(right, 'b');
  await left.kill();
  await putAt(right, 'c');
  const seen = await dataPlaneIs(right, 'edge', 'current');
  assert.equal(seen.revision, 5);
  await server.stop();
  await right.kill();
  // All of it is gone but the data plane.
  for (const id of ['a', 'b', 'c']) assert.equal((await edge.call(`/${id}`)).status, 200);
  isCalling = false;
  await calling;
  assert.ok(statuses.length > 10);
  assert.deepEqual([...new Set(statuses)], [200]);
});
