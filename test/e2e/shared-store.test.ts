// Several processes on one PostgreSQL: what is written at one is live at all.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { inParallel } from '../support/http-call.ts';
import { DATABASE_PASSWORD, PostgresServer } from '../support/postgres-server.ts';
import { runSluice, SluiceProcess, temporaryFolder } from '../support/process.ts';

const server = await PostgresServer.start({ after });
const SLUICE_ENCRYPTION_KEY = '5a'.repeat(32);

async function start(scope: Scope, database: string): Promise<SluiceProcess> {
  return SluiceProcess.start(scope, {
    args: ['start', '--data', temporaryFolder(scope)],
    env: { SLUICE_STORE: database, SLUICE_ENCRYPTION_KEY },
    accessLog: 'off',
  });
}

function mocking(text: string): object {
  return { uri: `/${text}`, plugins: { mocking: { response_example: text } } };
}

test('what is written at one is live at the other, and outlives both', async (t) => {
  const database = await server.database();
  const [left, right] = await Promise.all([start(t, database), start(t, database)]);
  const echo = await startEcho(t);
  await left.put('upstreams/u', { nodes: { [echo.address]: 1 } });
  // What it refers to was written elsewhere a moment ago.
  await right.put('routes/r', { uri: '/echo', upstream_id: 'u', plugins: { 'key-auth': {} } });
  await right.put('consumers/jack', { username: 'jack', plugins: { 'key-auth': { key: 'jacks-key' } } });
  for (const sluice of [left, right]) {
    const headers = { apikey: 'jacks-key' };
    await eventually(
      'the Route is live',
      async () => (await sluice.call('/echo', { headers })).status === 200,
    );
    assert.equal((await sluice.call('/echo')).status, 401);
  }
  const shown = async (sluice: SluiceProcess) => (await sluice.admin('GET', 'consumers/jack')).json();
  assert.deepEqual(await shown(left), await shown(right));
  await left.kill();
  await right.kill();
  const next = await start(t, database);
  assert.equal((await next.call('/echo', { headers: { apikey: 'jacks-key' } })).status, 200);
  const dump = JSON.stringify([
    await server.query(database, 'SELECT * FROM sluice_resource'),
    await server.query(database, 'SELECT * FROM sluice_change'),
  ]);
  assert.ok(dump.includes('sealed:1:') && !dump.includes('jacks-key'), 'secrets are sealed');
  for (const { stderr } of [left, right, next]) {
    assert.ok(stderr.includes('postgres://sluice@127.0.0.1:'), stderr);
    assert.ok(!stderr.includes(DATABASE_PASSWORD) && !stderr.includes(encodeURIComponent(DATABASE_PASSWORD)));
  }
});

test('of conflicting writes at two, none is lost and no reference dangles', async (t) => {
  const database = await server.database();
  const both = await Promise.all([start(t, database), start(t, database)]);
  await both[0].put('routes/counted', mocking('counted'));
  const answers = await inParallel(60, 8, (index) =>
    both[index % 2].admin('PATCH', 'routes/counted', { labels: { [`l${index}`]: 'x' } }),
  );
  for (const { status, body } of answers) assert.equal(status, 200, body);
  // One deletes an Upstream while the other gives it a user: only one of them may succeed.
  for (let round = 0; round < 10; round++) {
    await both[0].put(`upstreams/u${round}`, { nodes: { '127.0.0.1:1': 1 } });
    const [removed, added] = await Promise.all([
      both[round % 2].admin('DELETE', `upstreams/u${round}`),
      both[1 - (round % 2)].admin('PUT', `routes/r${round}`, { uri: `/r${round}`, upstream_id: `u${round}` }),
    ]);
    assert.equal(
      [removed, added].filter(({ status }) => status < 300).length,
      1,
      `${removed.body}${added.body}`,
    );
    for (const { status } of [removed, added]) assert.ok(status < 300 || status === 400);
  }
  const list = async (sluice: SluiceProcess, kind: string) => (await sluice.admin('GET', kind)).json();
  for (const kind of ['routes', 'upstreams']) {
    await eventually(`both show the same ${kind}`, async () => {
      const [left, right] = await Promise.all(both.map((sluice) => list(sluice, kind)));
      assert.deepEqual(left, right);
      return true;
    });
  }
  const { value } = (await both[1].admin('GET', 'routes/counted')).json();
  assert.equal(Object.keys(value.labels).length, 60);
});

test('while the database is away, traffic and reading go on, and writing is 503 until it is back', async (t) => {
  const database = await server.database();
  const sluice = await start(t, database);
  await sluice.put('routes/r', mocking('here'));
  await server.stop();
  assert.equal((await sluice.call('/here')).body, 'here');
  const refused = await sluice.admin('PUT', 'routes/s', mocking('new'));
  assert.equal(refused.status, 503);
  assert.match(
    refused.json().error_msg,
    /^postgres:\/\/sluice@127\.0\.0\.1:\d+\/test_\d+ (?:was lost: |is away \(.*\); nothing was changed$)/,
  );
  assert.equal((await sluice.admin('GET', 'routes/s')).status, 404);
  assert.equal((await sluice.admin('GET', 'routes/r')).status, 200);
  assert.equal((await sluice.call('/new')).status, 404);
  await server.start();
  await eventually(
    'it writes again',
    async () => (await sluice.admin('PUT', 'routes/s', mocking('new'))).status < 300,
  );
  assert.equal((await sluice.call('/new')).body, 'new');
  assert.ok(!sluice.stderr.includes(DATABASE_PASSWORD));
});

test('starts only with keys that were given, and with the same as the others', async (t) => {
  const database = await server.database();
  await start(t, database);
  const folder = temporaryFolder(t);
  const attempt = async (env: Record<string, string | undefined>) => {
    const args = ['start', '--data', folder, '--store', database];
    const { code, stderr } = await runSluice(t, args, { env: { SLUICE_ENCRYPTION_KEY, ...env } });
    assert.equal(code, 1);
    return stderr;
  };
  assert.match(
    await attempt({ SLUICE_ENCRYPTION_KEY: undefined }),
    /need the same keys: set SLUICE_ENCRYPTION_KEY/,
  );
  assert.match(await attempt({ SLUICE_ADMIN_KEY: undefined }), /need the same keys: set SLUICE_ADMIN_KEY/);
  assert.match(await attempt({ SLUICE_ENCRYPTION_KEY: 'a5'.repeat(32) }), /encrypted with another key/);
});

test('refuses what a store can not be used with, and a database that is away', async (t) => {
  const env = { SLUICE_ENCRYPTION_KEY };
  const run = async (...args: string[]) => (await runSluice(t, ['start', ...args], { env })).stderr;
  assert.match(await run('--store', 'mysql://x'), /must be like postgres:\/\//);
  assert.match(await run('http://127.0.0.1:1', '--store', 'postgres://x/y'), /--store goes with neither/);
  const away = await run('--store', `postgres://u:${DATABASE_PASSWORD.replaceAll(/\W/g, '')}@127.0.0.1:1/x`);
  assert.match(away, /^sluice: postgres:\/\/u@127\.0\.0\.1:1\/x can't be reached: .*ECONNREFUSED/);
});
