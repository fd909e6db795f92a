// The experiments of a machine that runs out of something, or whose clock jumps.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ensureCommand } from '../../tools/ensure-command.ts';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';

const all = (address: string, more = '') =>
  `routes: [{ id: all, uri: /*, upstream: { nodes: { '${address}': 1 } }${more} }]\n`;

test('23. out of file descriptors, it goes on with the connections that it has, and recovers', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(t, all(upstream.address), {
    prelude: 'ulimit -n 160',
    accessLog: 'off',
  });
  const kept = net.connect(sluice.port, '127.0.0.1');
  let answers = '';
  kept.setEncoding('latin1').on('data', (text) => {
    answers += text;
  });
  const ask = async (times: number) => {
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('an answer', () => answers.split('HTTP/1.1 200').length === times + 1);
  };
  await ask(1);
  const many = Array.from({ length: 400 }, () => net.connect(sluice.port, '127.0.0.1').on('error', () => {}));
  t.after(() => {
    for (const socket of [kept, ...many]) socket.destroy();
  });
  await Promise.all(many.map((socket) => once(socket, 'connect').catch(() => {})));
  await ask(2);
  for (const socket of many) socket.destroy();
  await eventually('new connections are served', async () => {
    const answer = await sluice.call('/').catch(() => undefined);
    return answer?.status === 200;
  });
  assert.equal(sluice.ended, false);
  assert.ok(sluice.log.length < 50, `the log has ${sluice.log.length} lines`);
});

test('39. with a full disk under the access log, traffic goes on and lost lines are counted', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(t, `access_log: { path: /dev/full }\n${all(upstream.address)}`);
  // What the disk did not take is kept for a while, in case there is room again.
  const long = `/${'x'.repeat(8_000)}`;
  await inParallel(1_200, 8, async () => assert.equal((await sluice.call(long)).status, 200));
  await eventually('the lost lines are counted', async () => {
    const { body } = await call(sluice.metrics);
    return Number(/^sluice_access_log_lines_dropped_total\S* (\d+)/m.exec(body)?.[1]) > 0;
  });
  assert.match(sluice.stderr, /the access log/);
});

/** A file system of a megabyte; undefined where mounting is not allowed. */
function smallDisk(t: TestContext): string | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-disk-'));
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
  t.after(() => {
    if (status === 0) spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  return status === 0 ? folder : undefined;
}

test('39. with a full disk under the store, changes are refused whole and the old configuration serves', async (t) => {
  const folder = smallDisk(t);
  if (folder === undefined) return t.skip('file systems may not be mounted here');
  const upstream = await startEcho(t);
  const sluice = await SluiceProcess.start(t, { args: ['start', '--data', folder], accessLog: 'off' });
  const route = { uri: '/kept', upstream: { nodes: { [upstream.address]: 1 } } };
  await sluice.put('routes/kept', route);
  writeFileSync(path.join(folder, 'ballast'), Buffer.alloc(400 * 1024));
  let refused = 0;
  for (let i = 0; i < 60 && refused === 0; i++) {
    const { status, body } = await sluice.admin('PUT', `routes/large-${i}`, {
      ...route,
      uri: `/large/${i}`,
      plugins: { mocking: { response_example: 'x'.repeat(30_000) } },
    });
    if (status >= 500) refused = i + 1;
    else if (status >= 400) throw new Error(body);
  }
  assert.ok(refused > 0, 'the disk never was full');
  assert.equal((await sluice.call('/kept')).status, 200);
  assert.equal((await sluice.admin('GET', `routes/large-${refused - 1}`)).status, 404);
  assert.equal((await sluice.call(`/large/${refused - 1}`)).status, 404);
});

test('38. limits and timeouts go by a clock that does not jump', async (t) => {
  ensureCommand({
    command: 'faketime',
    debianPackage: 'faketime',
    purpose: 'test what happens when the clock jumps',
  });
  const found = spawnSync('sh', ['-c', 'ls /usr/lib/*/faketime/libfaketimeMT.so.1'], { encoding: 'utf8' });
  const upstream = await startEcho(t);
  const clock = path.join(temporaryFolder(t), 'clock');
  writeFileSync(clock, '+0');
  const nodes = `upstream: { nodes: { '${upstream.address}': 1 } }`;
  const { sluice } = await startWithFile(
    t,
    `
routes:
  - id: counted
    uri: /counted
    ${nodes}
    plugins: { limit-count: { count: 3, time_window: 3600, rejected_code: 429, key: c, key_type: constant } }
`,
    {
      env: {
        LD_PRELOAD: found.stdout.trim(),
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        DONT_FAKE_MONOTONIC: '1',
      },
    },
  );
  assert.equal((await sluice.call('/counted')).status, 200);
  const thisYear = new Date().getUTCFullYear();
  for (const [jump, year] of [
    ['+400d', thisYear + 1],
    ['-400d', thisYear - 1],
  ] as const) {
    writeFileSync(clock, jump);
    // The time of the day follows, which shows that the jump was seen.
    await eventually('the answer has the date after the jump', async () => {
      const { headers } = await sluice.call('/not-there');
      // 400 days may be two turns of the year.
      return (
        Math.abs(new Date(String(headers.date)).getUTCFullYear() - year) <= 1 &&
        Math.abs(Date.parse(String(headers.date)) - Date.now()) > 300 * 86_400_000
      );
    });
    assert.equal((await sluice.call('/counted')).status, 200);
  }
  assert.equal((await sluice.call('/counted')).status, 429);
});
