// The cache of whole processes: shared by workers, kept apart for Consumers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, type CallOptions, call, inParallel } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';

const ADMIN = 'admin: {address: "127.0.0.1:0", keys: [{name: a, key: e2e-admin-key}]}';

/** An Upstream whose answers may be kept for a minute. */
function startOrigin(scope: Scope) {
  return startEcho(scope, (seen, response) => {
    response.setHeader('Cache-Control', seen.url.startsWith('/public') ? 'public, max-age=60' : 'max-age=60');
    response.setHeader('Surrogate-Key', `all ${seen.url.split('/')[1]}`);
    const consumer = seen.rawHeaders[seen.rawHeaders.indexOf('X-Consumer-Username') + 1];
    response.end(`${seen.url} for ${seen.rawHeaders.includes('X-Consumer-Username') ? consumer : 'nobody'}`);
    return true;
  });
}

/** Asks so often, on new connections, that every worker has had its turn. */
async function askAll(sluice: SluiceProcess, target: string, options: CallOptions = {}): Promise<Answer[]> {
  return inParallel(24, 8, () => sluice.call(target, options));
}

const statusOf = ({ headers }: Answer) => String(headers['cache-status'] ?? headers['apisix-cache-status']);
const hits = (answers: readonly Answer[]) => answers.filter((answer) => /hit/i.test(statusOf(answer))).length;

test('workers share what one stored; a purge reaches all; metrics and log tell', async (t) => {
  const origin = await startOrigin(t);
  const { sluice } = await startWithFile(
    t,
    `${ADMIN}
routes:
  - id: cached
    uri: /*
    plugins: {http-cache: {}}
    upstream: {nodes: {"${origin.address}": 1}}
`,
    { workers: 2 },
  );
  // The zone of the second worker opens with its first request.
  await askAll(sluice, '/warm');
  await sluice.call('/a');
  await eventually('both workers have it', async () => hits(await askAll(sluice, '/a')) === 24);
  assert.ok(origin.requests.filter(({ url }) => url === '/a').length <= 2);

  const seen = origin.requests.length;
  const purged = await sluice.call('/a', { method: 'PURGE' });
  assert.deepEqual([purged.status, purged.body], [200, '{"purged":1}\n']);
  await eventually(
    'both workers ask again',
    () => origin.requests.length > seen || sluice.call('/a').then(() => false),
  );
  const all = await sluice.admin('DELETE', 'caches/memory_cache?tag=all');
  assert.equal(all.status, 200, all.body);
  assert.equal(all.json().purged, 2, 'a and warm');
  await eventually('nothing is left', async () => {
    const before = origin.requests.length;
    await sluice.call(`/a`);
    return origin.requests.length > before;
  });
  assert.equal((await sluice.admin('DELETE', 'caches/nowhere')).status, 404);
  assert.equal((await sluice.admin('DELETE', 'caches/memory_cache?what=1')).status, 400);

  await eventually('metrics count hits of the Route', async () =>
    /^sluice_cache_requests_total\{status="hit",route="cached"\} \d\d+$/m.test(
      (await call(sluice.metrics)).body,
    ),
  );
  await eventually('the log tells where the answer came from', () =>
    sluice.accessLog.some(
      ({ cache, source, reason }) => cache === 'hit' && source === 'gateway' && reason === 'cache_hit',
    ),
  );
  assert.ok(sluice.accessLog.some(({ cache, source }) => cache === 'miss' && source === 'upstream'));
});

test('of many requests for the same thing one goes, whatever worker they come to', async (t) => {
  const waiting: (() => void)[] = [];
  const origin = await startEcho(t, (seen, response) => {
    response.setHeader('Cache-Control', seen.url === '/own' ? 'no-store' : 'max-age=60');
    if (seen.url === '/warm') response.end();
    else waiting.push(() => response.end('hello'));
    return true;
  });
  const { sluice } = await startWithFile(
    t,
    `routes:
  - id: cached
    uri: /*
    plugins: {http-cache: {}}
    upstream: {nodes: {"${origin.address}": 1}}
`,
    { workers: 2 },
  );
  await askAll(sluice, '/warm');
  const all = inParallel(40, 40, () => sluice.call('/a'));
  await eventually('one was asked', () => waiting.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(waiting.length, 1);
  waiting[0]();
  for (const { body } of await all) assert.equal(body, 'hello');
  assert.equal(waiting.length, 1);

  const own = inParallel(10, 10, () => sluice.call('/own'));
  await eventually('one was asked for what can not be stored', () => waiting.length === 2);
  waiting[1]();
  await eventually('then all go', () => waiting.length === 11);
  for (const answer of waiting.slice(2)) answer();
  await own;
});

test('explain tells what the cache would do, and does nothing', async (t) => {
  const origin = await startOrigin(t);
  const { sluice } = await startWithFile(
    t,
    `${ADMIN}
routes:
  - id: cached
    uri: /*
    plugins: {http-cache: {}}
    upstream: {nodes: {"${origin.address}": 1}}
`,
  );
  const explain = async (method = 'GET') =>
    (await sluice.admin('POST', 'explain', { method, url: `http://127.0.0.1:${sluice.port}/a` })).json();
  const step = async () =>
    (await explain()).chain.find(
      (one: { plugin: string; phase: string }) => one.plugin === 'http-cache' && one.phase === 'access',
    );
  assert.deepEqual((await step()).changes, ['cache: miss']);
  await sluice.call('/a');
  const stored = await step();
  assert.deepEqual(
    [stored.outcome, stored.detail, stored.changes],
    ['replied', '200 cache_hit', ['cache: hit']],
  );
  assert.equal((await explain('PURGE')).verdict.status, 200);
  assert.equal(hits([await sluice.call('/a')]), 1, 'nothing was purged');
  assert.equal(origin.requests.length, 1);
});

test("no Consumer gets another's answer, on any worker", async (t) => {
  const origin = await startOrigin(t);
  const names = ['jane', 'joe', 'ann'];
  const { sluice } = await startWithFile(
    t,
    `consumers:
${names.map((name) => `  - {username: ${name}, plugins: {key-auth: {key: key-${name}}}}`).join('\n')}
routes:
  - id: cached
    uri: /*
    plugins: {key-auth: {}, http-cache: {}}
    upstream: {nodes: {"${origin.address}": 1}}
`,
    { workers: 2 },
  );
  const answers = await inParallel(150, 12, async (index) => {
    const name = names[index % 3];
    const target = index % 2 === 0 ? '/own' : '/public';
    return { name, target, answer: await sluice.call(target, { headers: { apikey: `key-${name}` } }) };
  });
  for (const { name, target, answer } of answers) {
    if (target === '/own') assert.equal(answer.body, `/own for ${name}`);
    else assert.match(answer.body, /^\/public for (?:jane|joe|ann)$/);
  }
  assert.ok(hits(answers.map(({ answer }) => answer)) > 100);
  assert.equal((await sluice.call('/public')).status, 401, 'public or not, only for those who may');
});
