// Control plane and data planes as processes of their own.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync as readLink, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, test } from 'node:test';
import {
  Authority,
  dataPlaneIs,
  dataPlanesOf,
  launchDataPlane,
  startControlPlane,
  startDataPlane,
} from '../support/cluster.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http-call.ts';
import { temporaryFolder } from '../support/process.ts';

const scope = { after: (callback: () => void) => after(callback) };
const authority = new Authority(scope);
const CONTROL = authority.options('control', 'serverAuth');
const EDGE = authority.options('edge', 'clientAuth');
const SECRET = 'the-key-of-jack';

function mocking(text: string): object {
  return { uri: `/${text}`, plugins: { mocking: { response_example: text } } };
}

test('a data plane serves what its control plane is told, and is seen by it', async (t) => {
  const control = await startControlPlane(t, { certificates: CONTROL });
  const echo = await startEcho(t);
  await control.put('routes/before', { uri: '/before', upstream: { nodes: { [echo.address]: 1 } } });
  const data = temporaryFolder(t);
  const edge = await startDataPlane(t, { controlPlanes: [control.clusterOrigin], certificates: EDGE, data });
  assert.equal((await edge.call('/before')).status, 200);
  await control.put('routes/keyed', {
    ...mocking('keyed'),
    plugins: { 'key-auth': {}, mocking: { response_example: 'keyed' } },
  });
  await control.put('consumers/jack', { username: 'jack', plugins: { 'key-auth': { key: SECRET } } });
  await eventually(
    'it is live',
    async () => (await edge.call('/keyed', { headers: { apikey: SECRET } })).body === 'keyed',
  );
  assert.equal((await edge.call('/keyed')).status, 401);
  await control.admin('DELETE', 'routes/before');
  await eventually('it is gone', async () => (await edge.call('/before')).status === 404);
  const seen = await dataPlaneIs(control, 'edge', 'current');
  assert.equal(seen.revision, 4);
  assert.deepEqual(seen.lag, { revisions: 0, seconds: 0 });
  assert.deepEqual(
    seen.workers.map((one: { revision: number }) => one.revision),
    [4, 4],
  );
  assert.deepEqual((await control.admin('GET', `data_planes/${seen.id}`)).json().id, seen.id);
  assert.equal((await control.admin('GET', 'data_planes/nobody')).status, 404);

  const explained = await control.admin('POST', 'explain', { url: '/keyed' });
  assert.equal(explained.status, 200, explained.body);

  // It has no Admin API, and its files are its own and hold no secret in plain.
  assert.doesNotMatch(edge.stderr, /Admin API/);
  assert.equal((await edge.call('/apisix/admin/routes')).status, 404);
  await eventually(
    'it is on disk',
    () =>
      readdirSync(data).includes('snapshot.jsonl') &&
      readFileSync(path.join(data, 'snapshot.jsonl'), 'utf8').startsWith(
        '{"format":"sluice-snapshot-1","revision":4,',
      ),
  );
  for (const name of readdirSync(data)) {
    assert.equal(statSync(path.join(data, name)).mode & 0o777, 0o600, name);
    assert.ok(!readFileSync(path.join(data, name), 'utf8').includes(SECRET), name);
  }
  const metrics = (await call(edge.metrics)).body;
  assert.match(metrics, /^sluice_control_plane_connected 1$/m);
  assert.match(metrics, /^sluice_config_stale 0$/m);
});

test('a control plane carries no traffic, and a data plane listens for traffic and metrics alone', async (t) => {
  const control = await startControlPlane(t, { certificates: CONTROL });
  const edge = await startDataPlane(t, {
    controlPlanes: [control.clusterOrigin],
    certificates: EDGE,
    data: temporaryFolder(t),
  });
  assert.doesNotMatch(control.stderr, /^ {2}traffic/m);
  assert.deepEqual(
    listening(edge.child.pid!),
    [edge.port, Number(new URL(edge.metrics).port)].toSorted((a, b) => a - b),
  );
  const ofControl = [control.adminOrigin, control.metrics, control.clusterOrigin].map((url) =>
    Number(new URL(url).port),
  );
  assert.deepEqual(
    listening(control.child.pid!),
    ofControl.toSorted((a, b) => a - b),
  );
});

test('what a data plane can not take leaves it as it is, and its control plane is told why', async (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'own.ts');
  writeFileSync(
    file,
    `import { definePlugin, Type } from 'sluice';
     export const own = definePlugin({ name: 'own', summary: 'Own.', priority: 1, config: Type.Object({}), create: () => ({}) });`,
  );
  const control = await startControlPlane(t, { certificates: CONTROL, args: ['--plugin', file] });
  await control.put('routes/one', mocking('one'));
  const data = temporaryFolder(t);
  const options = { controlPlanes: [control.clusterOrigin], certificates: EDGE, data };
  const edge = await startDataPlane(t, options);
  await control.put('routes/own', { uri: '/own', plugins: { own: {} } });
  await control.put('routes/two', mocking('two'));
  const refused = await dataPlaneIs(control, 'edge', 'refused');
  assert.match(refused.reason, /^revision \d+ can't be taken here: routes\/own: unknown plugin \[own\]/);
  assert.equal(refused.revision, 1);
  assert.equal(refused.lag.revisions, 2);
  assert.deepEqual([(await edge.call('/one')).status, (await edge.call('/two')).status], [200, 404]);
  // Not from the disk, either: it starts with the last one that it could take.
  edge.signal('SIGTERM');
  await edge.exited;
  const again = await startDataPlane(t, options);
  assert.deepEqual([(await again.call('/one')).status, (await again.call('/two')).status], [200, 404]);
  // Once what it didn't know is gone, it takes the rest.
  await control.admin('DELETE', 'routes/own');
  await eventually('it goes on', async () => (await again.call('/two')).body === 'two');
  await dataPlaneIs(control, 'edge', 'current');
});

test('only who shows a certificate of the cluster, made for that side, is let in', async (t) => {
  const other = new Authority(t);
  const control = await startControlPlane(t, { certificates: CONTROL });
  await control.put('routes/secret', mocking('secret'));
  const edges = {
    'an authority of its own': other.options('stranger', 'clientAuth', authority.certificate),
    'the certificate of a control plane': CONTROL,
  };
  for (const [what, certificates] of Object.entries(edges)) {
    const edge = launchDataPlane(t, {
      controlPlanes: [control.clusterOrigin],
      certificates,
      data: temporaryFolder(t),
    });
    await eventually(`${what} is refused`, () =>
      /no control plane answers: .*(?:alert|certificate|socket)/i.test(edge.stderr),
    );
    await edge.kill();
  }
  assert.deepEqual(await dataPlanesOf(control), []);
  // A data plane's certificate doesn't make a control plane, or one stolen in the DMZ would command the others.
  const false1 = await startControlPlane(t, { certificates: authority.options('thief', 'clientAuth') });
  const false2 = await startControlPlane(t, { certificates: other.options('other', 'serverAuth') });
  for (const { clusterOrigin } of [false1, false2]) {
    const edge = launchDataPlane(t, {
      controlPlanes: [clusterOrigin],
      certificates: EDGE,
      data: temporaryFolder(t),
    });
    await eventually('it is not believed', () =>
      /no control plane answers: .*certificate/i.test(edge.stderr),
    );
    await edge.kill();
  }
  const without = new Promise((resolve, reject) => {
    https
      .get(control.clusterOrigin, { rejectUnauthorized: false, agent: false }, reject)
      .on('error', resolve);
  });
  assert.match(String(await without), /certificate required|ECONNRESET|socket hang up/);
});

/** The ports on which a process listens, by what Linux tells about its sockets. */
function listening(pid: number): number[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const rows = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1),
  );
  const ports = rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(inode))
    .map(([, local]) => Number.parseInt(local.split(':')[1], 16));
  return [...new Set(ports)].toSorted((a, b) => a - b);
}
