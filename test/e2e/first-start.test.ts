import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http-call.ts';
import { runSluice, SluiceProcess, temporaryFolder } from '../support/process.ts';

const NO_KEY = { SLUICE_ADMIN_KEY: undefined };
const mode = (file: string): number => statSync(file).mode & 0o777;

/** Asks the Admin API for Routes with this key. */
async function statusWith(sluice: SluiceProcess, key: string | undefined): Promise<number> {
  const headers: Record<string, string> = key === undefined ? {} : { 'X-API-KEY': key };
  return (await call(`${sluice.adminOrigin}/apisix/admin/routes`, { headers })).status;
}

test('makes an admin key at the first start, shows it once and keeps it private', async (t) => {
  const data = path.join(temporaryFolder(t), 'data');
  const options = { args: ['start', '--data', data], env: NO_KEY };
  const first = await SluiceProcess.start(t, options);
  const key = readFileSync(path.join(data, 'admin.key'), 'utf8').trim();
  assert.match(key, /^[0-9a-f]{64}$/);
  assert.ok(first.stderr.includes(key), 'the first start shows the key');
  assert.equal(mode(data), 0o700);
  for (const name of readdirSync(data)) assert.equal(mode(path.join(data, name)), 0o600, name);
  assert.equal(await statusWith(first, undefined), 401);
  assert.equal(await statusWith(first, 'wrong'), 401);
  assert.equal(await statusWith(first, key), 200);
  first.signal('SIGTERM');
  assert.deepEqual(await first.exited, { code: 0, signal: null });

  const second = await SluiceProcess.start(t, options);
  assert.ok(!second.stderr.includes(key), 'the second start does not');
  assert.ok(second.stderr.includes('admin.key'), 'but says where it is');
  assert.equal(await statusWith(second, key), 200);
});

test('takes the admin key from SLUICE_ADMIN_KEY, never shows it, and makes none', async (t) => {
  const data = temporaryFolder(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', data],
    env: { SLUICE_ADMIN_KEY: 'from-environment' },
  });
  assert.equal(await statusWith(sluice, 'from-environment'), 200);
  assert.ok(!sluice.stderr.includes('from-environment'));
  assert.ok(!readdirSync(data).includes('admin.key'));
});

test('an empty SLUICE_ADMIN_KEY counts as none', async (t) => {
  const data = temporaryFolder(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', data],
    env: { SLUICE_ADMIN_KEY: '' },
  });
  const key = readFileSync(path.join(data, 'admin.key'), 'utf8').trim();
  assert.ok(sluice.stderr.includes(key), sluice.stderr);
  assert.equal(await statusWith(sluice, key), 200);
  assert.equal(await statusWith(sluice, ''), 401);
});

test('proposes a call that works as it is printed', async (t) => {
  const sluice = await SluiceProcess.start(t, { args: ['start', '--data', temporaryFolder(t)], env: NO_KEY });
  const [, url, key, body] = /curl -i (\S+) -H "X-API-KEY: (.+?)" -X PUT -d '(.*)'/.exec(sluice.stderr) ?? [];
  const file = /^\$\(cat (.*)\)$/.exec(key)?.[1] ?? '';
  const headers = { 'X-API-KEY': readFileSync(file, 'utf8').trim() };
  assert.equal((await call(url, { method: 'PUT', headers, body })).status, 201);
  assert.equal((await sluice.call('/')).status, 502, 'the Route is there; nothing listens behind it');
});

test('keeps what the Admin API was told from one start to the next', async (t) => {
  const upstream = await startEcho(t);
  const args = ['start', '--data', temporaryFolder(t)];
  const first = await SluiceProcess.start(t, { args });
  await first.put('routes/kept', { uri: '/kept', upstream: { nodes: { [upstream.address]: 1 } } });
  first.signal('SIGTERM');
  await first.exited;
  const second = await SluiceProcess.start(t, { args });
  assert.equal((await second.call('/kept')).status, 200);
  assert.equal((await second.admin('GET', 'routes/kept')).json().value.uri, '/kept');
});

test('a second process on the same data directory says so and ends', async (t) => {
  const args = ['start', '--data', temporaryFolder(t)];
  const first = await SluiceProcess.start(t, { args });
  const second = await runSluice(t, args);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /in use by another process/);
  assert.equal(await statusWith(first, 'e2e-admin-key'), 200, 'the first goes on');
});

test('an address that is in use is named, and the process ends', async (t) => {
  const first = await SluiceProcess.start(t, { args: ['start', '--data', temporaryFolder(t)] });
  const taken = {
    '--listen': new URL(first.traffic).host,
    '--admin-listen': new URL(first.adminOrigin).host,
    '--metrics-listen': new URL(first.metrics).host,
  };
  for (const [option, address] of Object.entries(taken)) {
    const second = await runSluice(t, ['start', '--data', temporaryFolder(t), option, address]);
    assert.equal(second.code, 1, `${option}: ${second.stderr}`);
    assert.ok(second.stderr.includes(address) && second.stderr.includes('in use'), second.stderr);
    assert.equal(second.stderr.trim().split('\n').length, 1, second.stderr);
  }
});

test('proxies everything to one upstream without a database', async (t) => {
  const upstream = await startEcho(t);
  const cwd = temporaryFolder(t);
  const sluice = await SluiceProcess.start(t, { args: ['start', `http://${upstream.address}`], cwd });
  const answer = await sluice.call('/any/path?q=1', { method: 'POST', body: 'text' });
  assert.equal(answer.status, 200);
  assert.deepEqual(
    { method: answer.json().method, url: answer.json().url, body: answer.json().body },
    { method: 'POST', url: '/any/path?q=1', body: 'text' },
  );
  assert.deepEqual(readdirSync(cwd), []);
  assert.ok(!sluice.stderr.includes('Admin API'));
});

test('grows from one upstream with --admin', async (t) => {
  const upstream = await startEcho(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', `http://${upstream.address}`, '--admin'],
    cwd: temporaryFolder(t),
  });
  assert.equal((await sluice.call('/any')).status, 200);
  await sluice.put('routes/teapot', {
    uri: '/tea',
    plugins: { mocking: { response_example: 'tea', response_status: 418 } },
  });
  assert.equal((await sluice.call('/tea')).status, 418);
  assert.equal((await sluice.call('/any')).status, 200);
});

test('half a request to the Admin API does not keep it from stopping', async (t) => {
  const sluice = await SluiceProcess.start(t, { args: ['start', '--data', temporaryFolder(t)] });
  const socket = net.connect(Number(new URL(sluice.adminOrigin).port), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await new Promise((resolve) => socket.write('PUT /apisix/admin/routes/1 HT', resolve));
  // An answer to somebody else shows that the half has arrived.
  assert.equal(await statusWith(sluice, 'e2e-admin-key'), 200);
  sluice.signal('SIGTERM');
  await eventually('traffic is refused at once', () =>
    sluice.call('/').then(
      () => false,
      () => true,
    ),
  );
  assert.deepEqual(await sluice.exited, { code: 0, signal: null });
});

test('refuses what it can not do, with one line and status 1', async (t) => {
  const cwd = temporaryFolder(t);
  mkdirSync(path.join(cwd, 'open'), { mode: 0o777 });
  writeFileSync(path.join(cwd, 'file'), '');
  const wrong: readonly (readonly [args: readonly string[], text: RegExp])[] = [
    [['start', '--workers', 'many'], /--workers must be a number/],
    [['start', '--listen', 'nowhere:http'], /--listen: .*"http" is not a number/],
    [['start', 'ftp://example.test'], /UPSTREAM must be http:\/\/ or https:\/\//],
    [['start', 'http://a.example/path'], /UPSTREAM is scheme, host and port only/],
    [['start', 'http://a.example', 'http://b.example'], /one UPSTREAM only/],
    [['start', 'http://a.example', '--config', 'x.yaml'], /exclude each other/],
    [['start', '--confg', 'x.yaml'], /--confg/],
    [['start', '--config', 'missing.yaml'], /missing\.yaml/],
    [['start', '--data', 'file'], /file/],
    [['check'], /check wants one FILE/],
  ];
  for (const [args, text] of wrong) {
    const { code, stderr, stdout } = await runSluice(t, args, { cwd });
    assert.equal(code, 1, `${args}: ${stderr}`);
    assert.match(stderr, text);
    assert.match(stderr, /^sluice: /);
    assert.equal(stdout, '');
    assert.ok(!/^\s+at /m.test(stderr), 'no stack trace');
  }
});
