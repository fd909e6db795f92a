// Zones that outlive a process on disk, and that machines share through Redis.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import type { Answer } from '../support/http-call.ts';
import { type SluiceProcess, temporaryFolder } from '../support/process.ts';
import { RedisServer } from '../support/redis-server.ts';

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

const statusOf = ({ headers }: Answer) => String(headers['cache-status'] ?? headers['apisix-cache-status']);
const hits = (answers: readonly Answer[]) => answers.filter((answer) => /hit/i.test(statusOf(answer))).length;

test('a zone on disk outlives the process, and heeds a purge that came before it was asked', async (t) => {
  const origin = await startOrigin(t);
  const data = temporaryFolder(t);
  const config = `${ADMIN}
data_dir: ${data}
routes:
  - id: cached
    uri: /*
    plugins: {proxy-cache: {cache_strategy: disk}}
    upstream: {nodes: {"${origin.address}": 1}}
`;
  const folder = path.join(data, 'cache/disk_cache_one');
  const first = await startWithFile(t, config, { workers: 2 });
  for (const target of ['/a', '/b']) assert.equal(statusOf(await first.sluice.call(target)), 'MISS');
  await eventually(
    'both are on disk',
    () => readdirSync(folder).filter((name) => !name.endsWith('.new')).length === 2,
  );
  await first.sluice.kill();

  const { sluice } = await startWithFile(t, config, { workers: 2 });
  await eventually('a is found', async () => statusOf(await sluice.call('/a')) === 'HIT');
  assert.equal(origin.requests.filter(({ url }) => url === '/b').length, 1);
  // The key of proxy-cache has no port.
  const host = '127.0.0.1';
  const { purged } = (await sluice.admin('DELETE', `caches/disk_cache_one?resource=${host}/b`)).json();
  assert.equal(purged, 1);
  assert.equal(statusOf(await sluice.call('/b')), 'MISS');
});

test('machines share a zone through Redis, also purges, and go on without it', async (t) => {
  const origin = await startOrigin(t);
  const redis = await RedisServer.start(t);
  const config = `caches: [{name: shared, redis_host: 127.0.0.1, redis_port: ${redis.port}}]
routes:
  - id: cached
    uri: /*
    plugins: {http-cache: {zone: shared}}
    upstream: {nodes: {"${origin.address}": 1}}
`;
  const [one, other] = await Promise.all([
    startWithFile(t, config).then(({ sluice }) => sluice),
    startWithFile(t, config).then(({ sluice }) => sluice),
  ]);
  const ask = (sluice: SluiceProcess, target: string, method = 'GET') =>
    sluice.call(target, { method, headers: { Host: 'shop.example' } });
  assert.match(statusOf(await ask(one, '/a')), /fwd=uri-miss; stored/);
  // It is told before the answer is complete, and asked for after that.
  assert.equal(hits([await ask(other, '/a')]), 1);
  assert.equal(origin.requests.length, 1);

  await ask(other, '/a', 'PURGE');
  const began = performance.now();
  await eventually('the first machine has forgotten it', async () =>
    /fwd/.test(statusOf(await ask(one, '/a'))),
  );
  assert.ok(performance.now() - began < 1500);

  await redis.kill();
  await ask(one, '/b');
  assert.equal(hits([await ask(one, '/b')]), 1, 'in its own memory');
  assert.equal((await ask(other, '/b')).status, 200);
});
