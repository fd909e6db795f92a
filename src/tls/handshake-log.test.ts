import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeLog } from './handshake-log.ts';

test('says each reason once in a while, and how often it held its tongue', () => {
  const lines: [string, unknown][] = [];
  const ignore = () => {};
  const warn = (message: string, fields: unknown) => lines.push([message, fields]);
  let now = 0;
  const log = new HandshakeLog({ error: ignore, info: ignore, debug: ignore, warn }, () => now);
  for (let count = 0; count < 5; count++) log.failed('timeout', { client: 'x' });
  log.failed('no TLS', { client: 'y' });
  now = 10_000;
  log.failed('timeout', { client: 'z' });
  assert.deepEqual(lines, [
    ['TLS handshake failed: timeout', { client: 'x' }],
    ['TLS handshake failed: no TLS', { client: 'y' }],
    ['TLS handshake failed: timeout', { client: 'z', suppressed: 4 }],
  ]);
});
