import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, inParallel, tally } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';

/** Says on which worker it runs, and ends that worker in one way or another. */
const WORKER_PLUGIN = `import { definePlugin, reply, Type } from 'sluice';
import { threadId } from 'node:worker_threads';
export const worker = definePlugin({
  name: 'worker', summary: 'For tests.', priority: 5000, config: Type.Object({}),
  create: () => ({
    rewrite(exchange) {
      const end = exchange.variable('arg_end');
      if (end === 'exit') process.exit(7);
      if (end === 'memory') { const kept = []; for (;;) kept.push(new Array(100_000).fill(Math.random())); }
      if (end === 'loop') for (;;) {}
      if (end === 'later') setTimeout(() => { throw new Error('thrown later'); }, 1);
      if (end === 'rejection') void Promise.reject(new Error('rejected later'));
      return undefined;
    },
    responseHeaders: (exchange) => exchange.response.setHeader('X-Worker', String(threadId)),
  }),
});
`;

function configuration(upstream: string): string {
  const nodes = `upstream: { nodes: { '${upstream}': 1 } }`;
  return `
plugins: [./worker.ts]
shutdown: { grace: 20 }
watchdog: { timeout: 2 }
global_rules: [{ id: all, plugins: { worker: {} } }]
routes:
  - { id: fast, uri: /fast, ${nodes} }
  - { id: slow, uri: /delay/*, ${nodes} }
  - id: counted
    uri: /counted
    ${nodes}
    plugins: { limit-count: { count: 100, time_window: 600, rejected_code: 429, key: constant, key_type: constant } }
  - id: few
    uris: [/few, /delay/20000/few]
    ${nodes}
    plugins: { limit-conn: { conn: 2, burst: 0, default_conn_delay: 0.1, key: server_port, rejected_code: 429 } }
`;
}

async function start(t: Parameters<typeof startEcho>[0], env: Record<string, string> = {}) {
  const upstream = await startEcho(t);
  const gateway = await startWithFile(t, configuration(upstream.address), {
    files: { 'worker.ts': WORKER_PLUGIN },
    workers: 2,
    accessLog: 'off',
    env,
  });
  return { ...gateway, upstream };
}

/** A connection of its own that stays with its worker. */
interface Connection {
  readonly worker: string;
  call(target: string): Promise<Answer>;
}

async function connect(t: { after(end: () => void): void }, sluice: SluiceProcess): Promise<Connection> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const first = await sluice.call('/fast', { agent });
  return {
    worker: String(first.headers['x-worker']),
    call: (target) => sluice.call(target, { agent }),
  };
}

/** Connections to both workers, by worker. */
async function connectToBoth(
  t: { after(end: () => void): void },
  sluice: SluiceProcess,
): Promise<[Connection[], Connection[]]> {
  const groups = new Map<string, Connection[]>();
  await eventually('connections on both workers', async () => {
    const connection = await connect(t, sluice);
    const group = groups.get(connection.worker) ?? [];
    groups.set(connection.worker, [...group, connection]);
    return groups.size === 2 && [...groups.values()].every(({ length }) => length >= 4);
  });
  const [doomed, others] = [...groups.values()];
  return [doomed, others];
}

for (const [end, wanted] of [
  ['exit', /worker \d ended \(code 7\) and is replaced/],
  ['memory', /memory limit/],
  ['loop', /worker \d has stood still for 2 s and is ended/],
] as const) {
  test(`a worker that ends by ${end} is replaced; only its connections notice`, async (t) => {
    const env: Record<string, string> = end === 'memory' ? { NODE_OPTIONS: '--max-old-space-size=96' } : {};
    const { sluice } = await start(t, env);
    const [doomed, others] = await connectToBoth(t, sluice);
    const mark = `?end=${end}`;
    const broken = assert.rejects(doomed[0].call(`/fast${mark}`));
    const deadline = performance.now() + 20_000;
    while (!wanted.test(sluice.stderr)) {
      assert.ok(performance.now() < deadline, sluice.stderr);
      for (const connection of others) assert.equal((await connection.call('/fast')).status, 200);
      // A connection is closed after a thousand requests, and the next one might be the doomed worker's.
      await setTimeout(20);
    }
    await broken;
    await eventually('there are two workers again', async () => {
      // Connections that waited for a worker that stood still end with it.
      const workers = await inParallel(16, 8, () =>
        connect(t, sluice).then(
          ({ worker }) => worker,
          () => doomed[0].worker,
        ),
      );
      const names = new Set(workers);
      return names.size === 2 && !names.has(doomed[0].worker) && names.has(others[0].worker);
    });
    for (const connection of others) {
      assert.equal((await connection.call('/fast')).headers['x-worker'], others[0].worker);
    }
  });
}

test('a worker that is replaced serves what has changed since the start', async (t) => {
  const { sluice, write } = await start(t);
  const [doomed] = await connectToBoth(t, sluice);
  write(`${configuration('127.0.0.1:1')}
  - { id: new, uri: /new, plugins: { mocking: { response_example: new } } }
`);
  await eventually('the new Route is there', async () => (await sluice.call('/new')).body === 'new');
  await assert.rejects(doomed[0].call('/fast?end=exit'));
  await eventually('there are two workers again', async () => {
    const answers = await inParallel(16, 8, () => sluice.call('/new'));
    assert.ok(answers.every(({ body }) => body === 'new'));
    const workers = new Set(answers.map(({ headers }) => headers['x-worker']));
    return workers.size === 2 && !workers.has(doomed[0].worker);
  });
});

test('what a plugin throws outside of a request is logged and ends nothing', async (t) => {
  const { sluice, logged } = await start(t);
  for (const [end, text] of [
    ['later', 'thrown later'],
    ['rejection', 'rejected later'],
  ]) {
    const connection = await connect(t, sluice);
    assert.equal((await connection.call(`/fast?end=${end}`)).status, 200);
    await logged(text);
    assert.equal((await connection.call('/fast')).headers['x-worker'], connection.worker);
  }
  assert.ok(!sluice.stderr.includes('is replaced'));
});

test('limits stay exact over the end of a worker, and its connections are given back', async (t) => {
  const { sluice, upstream } = await start(t);
  const [doomed, others] = await connectToBoth(t, sluice);
  const before = await inParallel(60, 20, () => sluice.call('/counted'));
  assert.ok(before.every(({ status }) => status === 200));

  const slow = [doomed[0], doomed[1]].map((connection) =>
    assert.rejects(connection.call('/delay/20000/few'), 'it ends with its worker'),
  );
  await eventually(
    'both places are taken',
    () => upstream.requests.filter(({ url }) => url.endsWith('/few')).length === 2,
  );
  assert.equal((await others[0].call('/few')).status, 429);
  await assert.rejects(doomed[2].call('/fast?end=exit'));
  await Promise.all(slow);
  await eventually('the places are free', async () => (await others[0].call('/few')).status === 200);
  const statuses = await inParallel(2, 2, () => sluice.call('/delay/200/free'));
  assert.ok(statuses.every(({ status }) => status === 200));

  await eventually('the worker is replaced', () => sluice.stderr.includes('is replaced'));
  const after = await inParallel(60, 20, () => sluice.call('/counted'));
  assert.deepEqual(tally(after.map(({ status }) => status)), { 200: 40, 429: 20 });
});

test('SIGTERM lets requests under way end, closes idle connections, takes no new ones, and ends with 0', async (t) => {
  const { sluice, upstream } = await start(t);
  const [idle, busy] = await connectToBoth(t, sluice);
  const socket = net.connect(sluice.port, '127.0.0.1');
  t.after(() => socket.destroy());
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const answered = new Promise((resolve) => socket.once('data', resolve));
  socket.write('GET /fast HTTP/1.1\r\nHost: a\r\n\r\n');
  await answered;
  const slow = [busy[0].call('/delay/1000'), idle[0].call('/delay/1000')];
  const fast = await busy[1].call('/fast');
  assert.equal(fast.status, 200);
  await eventually(
    'the slow ones are under way',
    () => upstream.requests.filter(({ url }) => url === '/delay/1000').length === 2,
  );
  sluice.signal('SIGTERM');
  await closed;
  await eventually('new connections are refused', () =>
    sluice.call('/fast').then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
    ),
  );
  assert.ok(!sluice.ended, 'it waits for those under way');
  for (const answer of await Promise.all(slow)) {
    assert.equal(answer.status, 200);
    assert.equal(answer.json().url, '/delay/1000');
    assert.equal(answer.headers.connection, 'close');
  }
  assert.deepEqual(await sluice.exited, { code: 0, signal: null });
});

test('a second signal ends at once', async (t) => {
  const { sluice, upstream } = await start(t);
  const slow = assert.rejects(sluice.call('/delay/15000'));
  await eventually('it is under way', () => upstream.requests.length === 1);
  sluice.signal('SIGTERM');
  await eventually('it says so', () => sluice.stderr.includes('finishing what is under way'));
  assert.ok(!sluice.ended);
  sluice.signal('SIGINT');
  assert.equal((await sluice.exited).code, 1);
  await slow;
});
