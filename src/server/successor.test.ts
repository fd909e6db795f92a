import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSuccessor } from './successor.ts';

const start = (script: string, more: { patienceMs?: number; signal?: AbortSignal } = {}) =>
  startSuccessor({
    command: [process.execPath, '-e', script],
    sockets: [],
    letGo: () => Promise.resolve(),
    patienceMs: 20_000,
    ...more,
  });

test('fails when the new process ends, does not begin, or can not be started, with the reason', async () => {
  await assert.rejects(start('process.exit(3)'), /ended before it was ready \(code 3\)/);
  await assert.rejects(start('setInterval(() => {}, 1000)', { patienceMs: 50 }), /not ready within 0.05 s/);
  await assert.rejects(
    start('setInterval(() => {}, 1000)', { signal: AbortSignal.timeout(50) }),
    /told to end/,
  );
  const missing = startSuccessor({
    command: ['/nowhere/sluice'],
    sockets: [],
    letGo: () => Promise.resolve(),
    patienceMs: 20_000,
  });
  await assert.rejects(missing, /can't be started: .*ENOENT/);
});

test('lets go when it is asked, and says so, before the new process goes on', async () => {
  const script = `
    process.send({ type: 'let-go' });
    process.on('message', ({ type }) => { if (type === 'gone') process.send({ type: 'ready' }, () => process.exit()); });
  `;
  let asked = 0;
  await startSuccessor({
    command: [process.execPath, '-e', script],
    sockets: [],
    letGo: () => Promise.resolve(void asked++),
    patienceMs: 20_000,
  });
  assert.equal(asked, 1);
});
