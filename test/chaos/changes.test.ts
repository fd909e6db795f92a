// The experiments of changes under traffic: nobody may notice.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startEcho } from '../support/echo-upstream.ts';
import { inParallel, tally } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';

/** Clients that ask all the time on connections that they keep, until they are told to stop. */
function traffic(sluice: SluiceProcess, clients: number, targets: readonly string[]) {
  const outcomes: string[] = [];
  let going = true;
  const done = inParallel(clients, clients, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let turn = 0; going; turn++) {
      const target = targets[turn % targets.length];
      outcomes.push(
        await sluice.call(target, { agent }).then(
          ({ status }) => `${target} ${status}`,
          (error: Error) => `${target} ${error.message}`,
        ),
      );
    }
    agent.destroy();
  });
  return {
    async stop(): Promise<Record<string, number>> {
      going = false;
      await done;
      return tally(outcomes);
    },
  };
}

async function start(t: TestContext) {
  const upstream = await startEcho(t);
  const data = temporaryFolder(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', data],
    workers: 2,
    accessLog: 'off',
  });
  const nodes = { [upstream.address]: 1 };
  await sluice.put('upstreams/u', { nodes });
  await sluice.put('routes/by-reference', { uri: '/by-reference', upstream_id: 'u' });
  await sluice.put('routes/inline', { uri: '/inline', upstream: { nodes } });
  return { sluice, nodes };
}

test('29. a hundred changes under keep-alive load fail no request', async (t) => {
  const { sluice, nodes } = await start(t);
  const clients = traffic(sluice, 8, ['/by-reference', '/inline']);
  for (let change = 0; change < 100; change++) {
    switch (change % 4) {
      case 0:
        await sluice.put('upstreams/u', { nodes, retries: change % 3 });
        break;
      case 1:
        await sluice.put('routes/inline', { uri: '/inline', upstream: { nodes }, desc: String(change) });
        break;
      case 2:
        await sluice.put('global_rules/ids', { plugins: { 'request-id': { header_name: `X-${change}` } } });
        break;
      case 3:
        await sluice.put(`routes/other-${change}`, { uri: `/other/${change}`, upstream_id: 'u' });
        break;
    }
  }
  const outcomes = await clients.stop();
  assert.deepEqual(
    Object.keys(outcomes).sort(),
    ['/by-reference 200', '/inline 200'],
    JSON.stringify(outcomes),
  );
});

test('30. a change that is wrong is refused whole, with its place, and the old configuration serves', async (t) => {
  const { sluice } = await start(t);
  const revision = async () => (await sluice.admin('GET', 'routes/inline')).json().modifiedIndex;
  const before = await revision();
  const answer = await sluice.admin('PUT', 'routes/inline', {
    uri: '/inline',
    upstream: { nodes: { x: 'y' } },
  });
  assert.equal(answer.status, 400);
  assert.match(answer.body, /upstream|nodes/);
  assert.equal(await revision(), before);
  assert.equal((await sluice.call('/inline')).status, 200);
});

/** Says how much a worker holds once its garbage is collected. */
const HEAP_PLUGIN = `import { definePlugin, reply, Type } from 'sluice';
import v8 from 'node:v8';
import vm from 'node:vm';
v8.setFlagsFromString('--expose_gc');
const collect = vm.runInNewContext('gc');
export const heap = definePlugin({
  name: 'heap', summary: 'For tests.', priority: 5000, config: Type.Object({}),
  create: () => ({
    rewrite() {
      collect();
      return reply(200, String(process.memoryUsage().heapUsed));
    },
  }),
});
`;

test('33. memory comes back after thousands of Routes came and went', async (t) => {
  const upstream = await startEcho(t);
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, 'heap.ts'), HEAP_PLUGIN);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', path.join(folder, 'data'), '--plugin', path.join(folder, 'heap.ts')],
    accessLog: 'off',
  });
  const nodes = { [upstream.address]: 1 };
  await sluice.put('routes/heap', { uri: '/heap', plugins: { heap: {} } });
  const round = async (name: string): Promise<number> => {
    await inParallel(250, 8, (index) =>
      sluice.put(`routes/${name}-${index}`, {
        uri: `/${name}/${index}/*`,
        upstream: { nodes },
        plugins: { 'request-id': {} },
      }),
    );
    await inParallel(250, 8, (index) => sluice.call(`/${name}/${index}/x`));
    await inParallel(250, 8, (index) => sluice.admin('DELETE', `routes/${name}-${index}`));
    // Upstreams that are no longer used wait a moment for who might use them again.
    await setTimeout(1_200);
    return Number((await sluice.call('/heap')).body);
  };
  const sizes: number[] = [];
  for (const name of ['a', 'b', 'c', 'd']) sizes.push(await round(name));
  assert.ok(sizes[3] < sizes[1] * 1.05, `bytes of heap after each round: ${sizes.join(', ')}`);
});
