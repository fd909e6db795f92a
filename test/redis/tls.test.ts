// TLS to Redis, checked and unchecked.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { root } from '../support/process.ts';
import { RedisServer } from '../support/redis-server.ts';
import { machine } from './redis-bench.ts';

const certificates = path.join(root, 'test/support/certificates');
const certificate = path.join(certificates, 'server.crt');

async function startTls(t: Parameters<typeof RedisServer.start>[0]): Promise<number> {
  const port = await freePort();
  const key = path.join(certificates, 'server.key');
  const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate];
  await RedisServer.start(t, { args: ['--tls-port', `${port}`, ...files, '--tls-auth-clients', 'no'] });
  return port;
}

test('a certificate is checked where redis_ssl_verify says so', async (t) => {
  const port = await startTls(t);
  const tls = { redis_port: port, redis_ssl: true };
  const unchecked = machine(t, tls);
  assert.equal((await unchecked.limits.fixedWindow('key', 9, 60, 1)).allowed, true);
  assert.match(unchecked.lines[0], /certificate of Redis at .* is not verified/);
  const checked = machine(t, { ...tls, redis_ssl_verify: true });
  await assert.rejects(async () => checked.limits.fixedWindow('key', 9, 60, 1), /self-signed certificate/);
  assert.match(checked.lines[0], /self-signed certificate/);
});

test('a certificate of an authority that NODE_EXTRA_CA_CERTS names is taken', async (t) => {
  const port = await startTls(t);
  const script = `
    import { machine } from ${JSON.stringify(path.join(root, 'test/redis/redis-bench.ts'))};
    const { limits } = machine({ after() {} }, { redis_port: ${port}, redis_ssl: true, redis_ssl_verify: true });
    console.log((await limits.fixedWindow('key', 9, 60, 1)).remaining);
    process.exit(0);`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate, NODE_TEST_CONTEXT: undefined };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { env });
  assert.equal(String(stdout).trim(), '8', String(stderr));
});
