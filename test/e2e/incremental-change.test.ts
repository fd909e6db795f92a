import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import type { WrittenResource } from '../../src/model/configuration.ts';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { inParallel, tally } from '../support/http-call.ts';
import { PacedClient } from '../support/paced-client.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { fillDataDirectory } from '../support/standing.ts';

const ROUTES = 10_000;
const CONSUMERS = 50_000;
const ROUNDS = 15;

function standing(upstream: string): WrittenResource[] {
  const nodes = { [upstream]: 1 };
  const resources: WrittenResource[] = [{ kind: 'upstreams', id: 'all', value: { nodes } }];
  for (let index = 0; index < ROUTES; index++) {
    const plugins = { 'key-auth': {}, ...(index === 5000 && { mocking: { response_example: 'hello' } }) };
    const value = { uri: `/r${index}/*`, upstream_id: 'all', plugins };
    resources.push({ kind: 'routes', id: `r${index}`, value });
  }
  for (let index = 0; index < CONSUMERS; index++) {
    const username = `c${index}`;
    const value = { username, plugins: { 'key-auth': { key: `key-${index}` } } };
    resources.push({ kind: 'consumers', id: username, value });
  }
  return resources;
}

test('one Credential or Route among 10 000 Routes and 50 000 Consumers is live when answered, and nobody else notices', async (t) => {
  const upstream = await startEcho(t);
  const data = temporaryFolder(t);
  const before = performance.now();
  await fillDataDirectory(data, standing(upstream.address));
  const filled = performance.now();
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', data],
    workers: 2,
    accessLog: 'off',
  });
  const started = performance.now();
  t.diagnostic(
    `data directory filled in ${Math.round(filled - before)} ms, ready after ${Math.round(started - filled)} ms`,
  );
  const agents = Array.from({ length: 12 }, () => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  t.after(() => {
    for (const agent of agents) agent.destroy();
  });
  /** The statuses of one request on each of the standing connections, which both workers have. */
  const everywhere = async (target: string, apikey: string) =>
    tally(
      await inParallel(agents.length, agents.length, async (index) => {
        const answer = await sluice.call(target, { agent: agents[index], headers: { apikey } });
        return answer.status;
      }),
    );
  const all = (status: number) => ({ [status]: agents.length });
  assert.deepEqual(await everywhere('/r9999/a', 'key-49999'), all(200));
  assert.deepEqual(await everywhere('/r9999/a', 'new-key'), all(401));

  const paced = new PacedClient(t, {
    port: sluice.port,
    request: 'GET /r5000/a HTTP/1.1\r\nHost: a\r\napikey: key-25000\r\n\r\n',
    connections: 4,
  });
  const seen: Record<string, number> = {};
  const report = async (): Promise<number> => {
    const { statuses, longest } = await paced.report();
    for (const [status, count] of Object.entries(statuses)) seen[status] = (seen[status] ?? 0) + count;
    return longest;
  };
  await eventually('the paced client is under way', async () => {
    await report();
    return seen[200] > 500;
  });
  let quiet = 0;
  await eventually('it is measured without changes', async () => {
    quiet = Math.max(quiet, await report());
    return seen[200] > 1500;
  });
  let slowest = 0;
  const live = async (method: string, what: string, body: unknown, check: () => Promise<void>) => {
    const start = performance.now();
    const answer = await sluice.admin(method, what, body);
    slowest = Math.max(slowest, performance.now() - start);
    assert.ok(answer.status < 300, answer.body);
    await check();
  };
  const isLive = (target: string, key: string, status: number) => async () =>
    assert.deepEqual(await everywhere(target, key), all(status));
  for (let round = 0; round < ROUNDS; round++) {
    const key = `new-${round}`;
    await live(
      'PUT',
      'consumers/c7/credentials/extra',
      { plugins: { 'key-auth': { key } } },
      isLive('/r1/a', key, 200),
    );
    await live('DELETE', 'consumers/c7/credentials/extra', undefined, isLive('/r1/a', key, 401));
    const route = { uri: `/new/${round}`, upstream_id: 'all' };
    await live('PUT', 'routes/new', route, isLive(`/new/${round}`, '', 200));
    await live('DELETE', 'routes/new', undefined, isLive(`/new/${round}`, '', 404));
  }
  const longest = await report();
  assert.deepEqual(Object.keys(seen), ['200'], JSON.stringify(seen));
  t.diagnostic(
    `${ROUNDS * 4} changes: live after ${slowest.toFixed(1)} ms at most; longest wait of ${seen[200]} requests ${longest.toFixed(1)} ms, ${quiet.toFixed(1)} ms without changes`,
  );
});

test('a change compiles what it names and nothing else', async (t) => {
  const counting = `import { definePlugin, Type } from 'sluice';
let made = 0;
export const counting = definePlugin({
  name: 'counting', summary: 'For tests.', priority: 20000, config: Type.Object({}),
  create() {
    const number = String(++made);
    return { responseHeaders: (exchange) => exchange.response.setHeader('X-Made', number) };
  },
});
`;
  const configuration = (answer: string, service: string, key: string) => `
plugins: [./counting.ts]
services:
  - { id: shared, plugins: { cors: { allow_origins: '${service}' } } }
routes:
${['a', 'b', 'c', 'd']
  .map(
    (id) =>
      `  - { id: ${id}, uri: /${id}, plugins: { counting: {}, mocking: { response_example: ${id === 'a' ? answer : id} } } }`,
  )
  .join('\n')}
  - { id: s, uri: /s, service_id: shared, plugins: { counting: {}, mocking: { response_example: s } } }
consumers:
  - { username: jack, plugins: { key-auth: { key: ${key} } } }
`;
  const { sluice, write } = await startWithFile(t, configuration('one', 'http://one.example', 'k1'), {
    files: { 'counting.ts': counting },
    accessLog: 'off',
    workers: 1,
  });
  const made = async () =>
    Object.fromEntries(
      await Promise.all(
        ['a', 'b', 'c', 'd', 's'].map(async (id) => [id, (await sluice.call(`/${id}`)).headers['x-made']]),
      ),
    );
  const first = await made();
  assert.equal(new Set(Object.values(first)).size, 5, 'each has its own');
  assert.deepEqual(await made(), first, 'nothing is made by requests');

  const reload = async (...values: Parameters<typeof configuration>) => {
    const lines = sluice.log.length;
    write(configuration(...values));
    await eventually('it is reloaded', () =>
      sluice.log.slice(lines).some(({ message }) => /reloaded/.test(message)),
    );
  };
  await reload('two', 'http://one.example', 'k1');
  const second = await made();
  assert.equal((await sluice.call('/a')).body, 'two');
  assert.notEqual(second.a, first.a);
  assert.deepEqual({ ...second, a: first.a }, first);

  await reload('two', 'http://one.example', 'k2');
  assert.deepEqual(await made(), second, 'a Consumer concerns no Route');

  await reload('two', 'http://two.example', 'k2');
  const third = await made();
  assert.notEqual(third.s, second.s, 'what a Service says concerns its Routes');
  assert.deepEqual({ ...third, s: second.s }, second);
});
