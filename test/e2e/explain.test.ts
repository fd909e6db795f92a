// `sluice explain` against a gateway that runs.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Explanation } from '../../src/proxy/explanation.ts';

const main = path.join(import.meta.dirname, '../../src/main.ts');
const KEY = 'the-admin-key';
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-explain-'));
const upstream = http.createServer((_request, response) => response.end('ok'));
let gateway: ChildProcess;
let traffic = '';
let admin = '';

before(async () => {
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const free = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--metrics-listen', 'off'];
  gateway = spawn(
    process.execPath,
    [main, 'start', '--data', folder, '--workers', '2', '--access-log', 'off', ...free],
    { env: { ...process.env, SLUICE_ADMIN_KEY: KEY }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  for await (const piece of gateway.stderr!) {
    said += piece;
    traffic = /traffic +(\S+?)[,\s]/.exec(said)?.[1] ?? '';
    admin = /Admin API +(http:\/\/[^/\s]+)/.exec(said)?.[1] ?? '';
    if (traffic !== '' && admin !== '' && said.includes('try')) break;
  }
  assert.ok(admin !== '', said);
});

after(async () => {
  gateway.kill('SIGTERM');
  await once(gateway, 'exit');
  upstream.close();
  upstream.closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function put(resource: string, value: object): Promise<void> {
  const response = await fetch(`${admin}/apisix/admin/${resource}`, {
    method: 'PUT',
    headers: { 'X-API-KEY': KEY },
    body: JSON.stringify(value),
  });
  assert.ok(response.ok, await response.text());
}

function sluice(...args: string[]) {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8' });
}

function explain(...args: string[]): Explanation {
  const { stdout, stderr, status } = sluice('explain', ...args, '--admin', admin, '--key', KEY, '--json');
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Explanation;
}

test('tells by the configuration and the counters of a running gateway, and counts nothing', async () => {
  const { port } = upstream.address() as AddressInfo;
  await put('routes/limited', {
    uri: '/limited',
    upstream: { nodes: { [`127.0.0.1:${port}`]: 1 } },
    plugins: { 'limit-count': { count: 2, time_window: 600, rejected_code: 429 } },
  });
  const url = `${traffic}/limited`;
  const foretold = () => {
    const { verdict } = explain(url);
    return verdict.type === 'forward' ? 200 : verdict.status;
  };
  for (const status of [200, 200, 429, 429]) {
    assert.equal(foretold(), status);
    const response = await fetch(url);
    await response.text();
    assert.equal(response.status, status);
  }
  const { counters, verdict } = explain(url);
  assert.equal(counters, 'live');
  assert.deepEqual(verdict.type === 'reply' && verdict.by, {
    plugin: 'limit-count',
    place: 'routes/limited',
  });
});

test('tells by a change as soon as it is made', async () => {
  const before = explain('http://h/changing');
  assert.equal(before.route, null);
  await put('routes/changing', { uri: '/changing', plugins: { redirect: { uri: '/there' } } });
  const now = explain('POST', 'http://h/changing', '-H', 'X-A: b', '--client', '192.0.2.1');
  assert.equal(now.route?.id, 'changing');
  assert.equal(now.request.client_address, '192.0.2.1');
  assert.equal(now.revision, before.revision + 1);
});

test('says what to do when it is asked wrongly', () => {
  const { port } = upstream.address() as AddressInfo;
  const cases: [string[], RegExp][] = [
    [[], /explain wants a URL/],
    [['http://h/', '-H', 'nonsense'], /-H wants/],
    [['http://h/', '--client', 'me'], /--client wants an IP address/],
    [['http://h/', '--now', 'soon'], /--now wants/],
    [['http://h/', '--config', 'a', '--data', 'b'], /exclude each other/],
    [['http://h/', '--config', 'absent.yaml'], /absent\.yaml/],
    [['http://h/', '--data', path.join(folder, 'absent')], /there is no data directory/],
    [['http://h/', '--admin', admin, '--key', 'wrong'], /401 .*wrong apikey/],
    [['ftp://h/', '--admin', admin, '--key', KEY], /400 .*not an http or https URL/],
    [['http://h/', '--admin', `127.0.0.1:${port === 1 ? 2 : 1}`, '--key', KEY], /no Admin API answers/],
  ];
  for (const [args, message] of cases) {
    const { stderr, stdout, status } = sluice('explain', ...args);
    assert.equal(status, 1, stdout);
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});
