import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SnapshotFile } from '../../src/cluster/snapshot-file.ts';
import { Authority, startControlPlane, startDataPlane } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { temporaryFolder } from '../support/process.ts';
import { fillDataDirectory } from '../support/standing.ts';

const authority = new Authority({ after: (callback: () => void) => after(callback) });
const CONTROL = authority.options('control', 'serverAuth');
const EDGE = authority.options('edge', 'clientAuth');
const KILLS = 4;
const ROUTES = 1_000;
const PADDING = 'x'.repeat(1_000);

/** Route n of version v; the v-th write changes Route v modulo ROUTES. */
function route(number: number, version: number) {
  const plugins = { mocking: { response_example: `${version} ${PADDING}` } };
  return { id: `r${number}`, uri: `/r${number}`, plugins };
}

test('killed while it writes its disk, a data plane starts from one whole revision', async (t) => {
  const store = temporaryFolder(t);
  const standing = Array.from({ length: ROUTES }, (_, number) => ({
    kind: 'routes' as const,
    id: `r${number}`,
    value: route(number, 0),
  }));
  await fillDataDirectory(store, standing);
  const control = await startControlPlane(t, { certificates: CONTROL, data: store });
  const data = temporaryFolder(t);
  const options = { controlPlanes: [control.clusterOrigin], certificates: EDGE, data, workers: 1 };
  const file = new SnapshotFile(path.join(data, 'snapshot.jsonl'));
  let version = 0;
  let isWriting = true;
  const writing = (async () => {
    while (isWriting) {
      version++;
      await control.put(`routes/r${version % ROUTES}`, route(version % ROUTES, version));
    }
  })();
  let halves = 0;
  let last = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const edge = await startDataPlane(t, options);
    await eventually('it writes its disk', async () => {
      while (!existsSync(`${file.file}.new`)) {
        if (edge.ended) return false;
        await sleep(1);
      }
      return true;
    });
    if (kill % 2 === 1) await sleep(Math.random() * 10);
    await edge.kill();
    if (existsSync(`${file.file}.new`)) halves++;
    const content = await file.read();
    // Killed in its first write, it has nothing yet.
    if (content === undefined) continue;
    // The first revision is the standing one, each write makes the next.
    const newest = content.revision - 1;
    assert.ok(newest >= last, `it went back from ${last} to ${newest}`);
    last = newest;
    assert.equal(content.resources.length, ROUTES);
    for (const { id, value } of content.resources) {
      const number = Number(id.slice(1));
      const expected = newest - ((((newest - number) % ROUTES) + ROUTES) % ROUTES);
      assert.deepEqual(value.plugins, route(number, Math.max(0, expected)).plugins, `${id} at ${newest}`);
    }
  }
  isWriting = false;
  await writing;
  assert.ok(halves > 0, 'it was never killed within a write: nothing was shown');
  // Once more in peace, then from its disk alone, with what a kill has left beside it.
  const edge = await startDataPlane(t, options);
  await eventually('it has everything', async () => (await file.read())?.revision === version + 1);
  await edge.kill();
  await control.kill();
  const again = await startDataPlane(t, options);
  assert.match(again.stderr, /from disk/);
  const number = version % ROUTES;
  assert.equal((await again.call(`/r${number}`)).body, `${version} ${PADDING}`);
});
