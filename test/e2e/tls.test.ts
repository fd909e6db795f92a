import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { promisify } from 'node:util';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call } from '../support/http-call.ts';
import { secureGet, TlsClient } from '../support/tls-client.ts';
import { answering, fails, ssl, startTls } from '../support/tls-gateway.ts';

test('answers each name with its certificate: exact before wildcard, one label for a `*`', async (t) => {
  const ca = CertificateAuthority.create(t);
  const [a, wild, off] = [
    ca.issue('exact'),
    ca.issue('wild', { names: ['DNS:*.w.example'] }),
    ca.issue('off'),
  ];
  const { port, sluice } = await startTls(t, {
    ssls: [
      ssl('1', ['a.example'], a),
      ssl('2', ['*.w.example'], wild),
      ssl('3', ['off.test'], off, { status: 0 }),
    ],
  });
  assert.match(sluice.traffic, /^https:/);
  assert.equal(await answering(port, 'a.example'), 'exact');
  assert.equal(await answering(port, 'A.Example'), 'exact');
  assert.equal(await answering(port, 'b.w.example'), 'wild');
  for (const servername of ['deep.b.w.example', 'off.test', 'other.test']) {
    await assert.rejects(TlsClient.connect(port, { servername }), /unrecognized name/);
  }
  await assert.rejects(TlsClient.connect(port), /unrecognized name/);
  const answer = await secureGet(port, '/x', { servername: 'b.w.example', ca: ca.cert });
  assert.equal(answer.status, 200);
  const fields = JSON.parse(answer.body).rawHeaders.join('\n');
  assert.match(fields, /X-Forwarded-Proto\nhttps/);
  await eventually(
    'a line about the refused handshakes',
    () =>
      sluice.log.find(
        ({ message, sni }) => message.includes('no SSL for this name') && sni === 'deep.b.w.example',
      ) && true,
  );
  await eventually('failures in the metrics', async () =>
    /sluice_tls_handshakes_total\{worker="1",result="failed"\} 4\n/.test((await call(sluice.metrics)).body),
  );
});

test('answers who names nobody as fallback_sni says', async (t) => {
  const ca = CertificateAuthority.create(t);
  const { port } = await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a')), ssl('2', ['b.example'], ca.issue('b'))],
    settings: { tls: { fallback_sni: 'b.example' } },
  });
  assert.equal(await answering(port, ''), 'b');
  await fails(port, { servername: 'c.example' });
});

test('an SSL for `*` answers to every name and to none', async (t) => {
  const ca = CertificateAuthority.create(t);
  const { port } = await startTls(t, {
    ssls: [ssl('1', ['*'], ca.issue('any')), ssl('2', ['a.example'], ca.issue('a'))],
  });
  assert.equal(await answering(port, ''), 'any');
  assert.equal(await answering(port, 'some.deep.name'), 'any');
  assert.equal(await answering(port, 'a.example'), 'a');
});

test('speaks TLS 1.2 and 1.3 with RSA and ECDSA, nothing older, and what ssl_protocols says', async (t) => {
  const ca = CertificateAuthority.create(t);
  const rsa = ca.issue('rsa', { kind: 'rsa' });
  const ec = ca.issue('ec');
  const { port } = await startTls(t, {
    ssls: [
      ssl('1', ['a.example'], rsa, { certs: [ec.cert], keys: [ec.key] }),
      ssl('2', ['new.example'], ec, { ssl_protocols: ['TLSv1.3'] }),
      ssl('3', ['old.example'], ec, { ssl_protocols: ['TLSv1.2'] }),
    ],
  });
  const only = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3', servername = 'a.example') => ({
    servername,
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const protocol = async (options: ConnectionOptions) => {
    const client = await TlsClient.connect(port, options);
    client.close();
    return client;
  };
  await protocol(only('TLSv1.2'));
  await protocol(only('TLSv1.3'));
  await fails(port, only('TLSv1.1'));
  await fails(port, only('TLSv1.2', 'new.example'));
  await fails(port, only('TLSv1.3', 'old.example'));
  const with12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
  assert.equal(
    await answering(port, 'a.example', { ...with12, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }),
    'rsa',
  );
  assert.equal(
    await answering(port, 'a.example', { ...with12, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }),
    'ec',
  );
  await fails(port, { servername: 'a.example', ...with12, ciphers: 'AES128-SHA' });
  await fails(port, { servername: 'a.example', ALPNProtocols: ['unheard-of'] });
});

test('curl and openssl get along with it', async (t) => {
  const ca = CertificateAuthority.create(t);
  const { port, folder } = await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a.example'))],
    options: {},
  });
  const file = path.join(folder, 'ca.crt');
  writeFileSync(file, ca.cert);
  const { stdout } = await promisify(execFile)('curl', [
    '-sS',
    '--cacert',
    file,
    '--resolve',
    `a.example:${port}:127.0.0.1`,
    `https://a.example:${port}/hello`,
  ]);
  assert.equal(JSON.parse(stdout).url, '/hello');
  const connect = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    'a.example',
    '-CAfile',
    file,
    '-brief',
  ];
  const { stderr } = spawnSync('openssl', connect, { input: '' });
  assert.match(String(stderr), /Protocol version: TLSv1\.3[\s\S]*Verification: OK/);
  const plain = await call(`http://127.0.0.1:${port}/`);
  assert.equal(plain.status, 400);
  assert.match(plain.body, /plain HTTP request was sent to HTTPS port/);
});

test('http_to_https sends clients of a plain Listener to the one with TLS', async (t) => {
  const ca = CertificateAuthority.create(t);
  const [plain, secure] = [await freePort(), await freePort()];
  await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a.example'))],
    settings: {
      listeners: [{ address: `127.0.0.1:${plain}` }, { address: `127.0.0.1:${secure}`, tls: true }],
      global_rules: [{ id: '1', plugins: { redirect: { http_to_https: true } } }],
    },
  });
  const { status, headers } = await call(`http://127.0.0.1:${plain}/x?y=1`, {
    headers: { Host: 'a.example' },
  });
  assert.equal(status, 301);
  assert.match(String(headers.location), /^https:\/\/a\.example(:\d+)?\/x\?y=1$/);
  assert.equal((await secureGet(secure, '/x', { servername: 'a.example' })).status, 200);
});
