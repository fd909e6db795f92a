import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { call } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';
import { secureGet, TlsClient } from '../support/tls-client.ts';
import { answering, fails, ssl, startTls } from '../support/tls-gateway.ts';

const ENDING_PLUGIN = `import { definePlugin, Type } from 'sluice';
export const ending = definePlugin({
  name: 'ending', summary: 'For tests.', priority: 5000, config: Type.Object({}),
  create: () => ({ rewrite: (exchange) => exchange.variable('uri') === '/end' ? process.exit(7) : undefined }),
});
`;

test('resumes sessions in another worker and in one that replaced it', async (t) => {
  const ca = CertificateAuthority.create(t);
  const { port, sluice } = await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a.example'))],
    settings: { plugins: ['./ending.ts'], global_rules: [{ id: '1', plugins: { ending: {} } }] },
    options: { workers: 2 },
    files: { 'ending.ts': ENDING_PLUGIN },
  });
  const sessions: [ConnectionOptions, Buffer][] = [];
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { servername: 'a.example', minVersion: version, maxVersion: version };
    const first = await TlsClient.connect(port, options);
    assert.equal((await first.get('/')).status, 200);
    sessions.push([options, await first.session()]);
    first.close();
  }
  const resume = async () => {
    for (const [options, session] of sessions) {
      // The system spreads connections over the workers by their ports: some of twenty reach the other one.
      for (let count = 0; count < 20; count++) {
        const again = await TlsClient.connect(port, { ...options, session });
        assert.ok(again.socket.isSessionReused(), `${options.minVersion}, connection ${count}`);
        await again.get('/');
        again.close();
      }
    }
  };
  await resume();
  await eventually('resumed sessions of both workers in the metrics', async () => {
    const { body } = await call(sluice.metrics);
    return ['1', '2'].every((worker) =>
      new RegExp(`sluice_tls_handshakes_total\\{worker="${worker}",result="resumed"\\} [1-9]`).test(body),
    );
  });
  const replaced = async (count: number) => {
    await secureGet(port, '/end', { servername: 'a.example' }).catch(() => {});
    await eventually(`${count} workers were replaced`, async () =>
      (await call(sluice.metrics)).body.includes(`sluice_worker_restarts_total ${count}\n`),
    );
    await eventually('a worker listens', async () => {
      const { status } = await secureGet(port, '/', { servername: 'a.example' });
      return status === 200;
    });
  };
  await replaced(1);
  await replaced(2);
  await resume();
});

test('a replaced certificate serves the next handshake; a hundred connections stand', async (t) => {
  const ca = CertificateAuthority.create(t);
  const other = CertificateAuthority.create(t);
  const old = ca.issue('old');
  const { port, replace, logged } = await startTls(t, { ssls: [ssl('1', ['a.example'], old)] });
  const clients = await Promise.all(
    Array.from({ length: 100 }, () => TlsClient.connect(port, { servername: 'a.example' })),
  );
  t.after(() => {
    for (const client of clients) client.close();
  });
  await Promise.all(clients.map((client) => client.get('/before')));
  replace([ssl('1', ['a.example'], other.issue('new'))]);
  await eventually('the new certificate', async () => (await answering(port, 'a.example')) === 'new');
  const answers = await Promise.all(clients.map((client) => client.get('/after')));
  assert.ok(answers.every(({ status }) => status === 200));
  // A pair that doesn't fit is refused whole.
  replace([ssl('1', ['a.example'], { cert: old.cert, key: other.issue('x').key })]);
  await logged('the key does not belong to the cert');
  assert.equal(await answering(port, 'a.example'), 'new');
});

test('takes a hello in single bytes, and ends what never becomes one', async (t) => {
  const ca = CertificateAuthority.create(t);
  const port = await freePort();
  const { sluice } = await startTls(t, {
    ssls: [ssl('1', ['a.example'], ca.issue('a.example'))],
    settings: { listeners: [{ address: `127.0.0.1:${port}`, tls: true }], client: { header_timeout: 0.3 } },
  });
  // A relay that hands on byte by byte.
  const relay = net.createServer((client) => {
    const target = net.connect(port, '127.0.0.1');
    target.setNoDelay(true);
    client.on('data', (bytes) => {
      for (const byte of bytes as Buffer) target.write(Buffer.from([byte]));
    });
    target.pipe(client);
    client.on('error', () => target.destroy());
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  t.after(() => relay.close());
  const answer = await secureGet((relay.address() as net.AddressInfo).port, '/', { servername: 'a.example' });
  assert.equal(answer.status, 200);
  for (const start of [Buffer.from([22, 3, 1, 2, 0, 1]), Buffer.alloc(0)]) {
    const slow = net.connect(port, '127.0.0.1');
    slow.write(start);
    await new Promise((resolve) =>
      slow
        .on('close', resolve)
        .on('error', () => {})
        .resume(),
    );
  }
  for (const wrong of [
    Buffer.from([22, 3, 1, 0, 2, 9, 9, 9, 9]),
    Buffer.alloc(40, 7),
    Buffer.alloc(70_000, 22),
  ]) {
    const client = net.connect(port, '127.0.0.1');
    client.write(wrong);
    await new Promise((resolve) =>
      client
        .on('close', resolve)
        .on('error', () => {})
        .resume(),
    );
  }
  await eventually('it said so', () =>
    sluice.log.some(({ message }) => message.includes('handshake failed: timeout')),
  );
});

test('certificates come and go by the Admin API, and tell when they end', async (t) => {
  const ca = CertificateAuthority.create(t);
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'settings.json');
  writeFileSync(file, JSON.stringify({ listeners: [{ address: '127.0.0.1:0', tls: true }] }));
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--settings', file, '--data', path.join(folder, 'data')],
    keepListeners: true,
  });
  await fails(sluice.port, { servername: 'a.example' });
  const first = ca.issue('first', { days: 12 });
  await sluice.put('ssls/1', { sni: 'a.example', ...first });
  assert.equal(await answering(sluice.port, 'a.example'), 'first');
  const notAfter = /sluice_certificate_not_after_seconds\{ssl="1",sni="a\.example"\} (\d+)\n/;
  const end = await eventually(
    'the metric',
    async () => notAfter.exec((await call(sluice.metrics)).body)?.[1],
  );
  assert.ok(Math.abs(Number(end) - (Date.now() / 1000 + 12 * 86_400)) < 3600);
  await eventually('the warning', () =>
    sluice.log.some(({ message }) => /certificate of ssl 1 expires in 1[12] days/.test(message)),
  );
  const wrong = await sluice.admin('PUT', 'ssls/1', {
    sni: 'a.example',
    cert: first.cert,
    key: ca.issue('x').key,
  });
  assert.equal(wrong.status, 400);
  assert.match(wrong.body, /the key does not belong to the cert/);
  await sluice.put('ssls/1', { sni: 'a.example', ...ca.issue('second') });
  assert.equal(await answering(sluice.port, 'a.example'), 'second');
  await sluice.admin('PATCH', 'ssls/1', { status: 0 });
  await fails(sluice.port, { servername: 'a.example' });
});
