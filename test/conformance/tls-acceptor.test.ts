import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { deadlinesOf } from '../../src/lib/deadlines.ts';
import type { Resource } from '../../src/model/resource.ts';
import { ServerCertificates } from '../../src/tls/server-certificates.ts';
import { TlsAcceptor } from '../../src/tls/tls-acceptor.ts';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { TlsClient } from '../support/tls-client.ts';

const material = () => ({ ticketKeys: randomBytes(48), certificates: [], challenges: [] });

async function accept(t: Scope) {
  const ignore = () => {};
  const log = { error: ignore, warn: ignore, info: ignore, debug: ignore };
  const value = { sni: 'a.example', ...CertificateAuthority.create(t).issue('a.example') };
  const ssl: Resource = {
    kind: 'ssls',
    id: '1',
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
    value,
  };
  const certificates = new ServerCertificates({
    ssls: { list: () => [ssl] },
    fallbackSni: undefined,
    material: material(),
    log,
  });
  const figures = { completed: 0, resumed: 0, failed: 0 };
  let lost = 0;
  const acceptor = new TlsAcceptor({
    certificates,
    protocols: ['http/1.1'],
    deadlines: deadlinesOf(0),
    log,
    figures,
    hasRequests: true,
    onSecure: (socket) => socket.on('error', ignore).pipe(socket),
    onLost: () => lost++,
  });
  const server = net.createServer({ allowHalfOpen: true }, (socket) => acceptor.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => acceptor.close());
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, acceptor, certificates, figures, lost: () => lost };
}

test('tickets of a replaced key are worth nothing, those of the new one are', async (t) => {
  const { port, certificates } = await accept(t);
  const connect = async (session?: Buffer) => {
    const client = await TlsClient.connect(port, { servername: 'a.example', session });
    const reused = client.socket.isSessionReused();
    // Who has resumed one gets no further.
    const next = reused ? undefined : await client.session();
    client.close();
    return { reused, next };
  };
  const { next: old } = await connect();
  assert.equal((await connect(old)).reused, true);
  certificates.useMaterial(material());
  const { reused, next } = await connect(old);
  assert.equal(reused, false);
  assert.equal((await connect(next)).reused, true);
});

test('tells of every connection that never became secure, once', async (t) => {
  const { port, acceptor, figures, lost } = await accept(t);
  const silent = net.connect(port, '127.0.0.1');
  await once(silent, 'connect');
  silent.destroy();
  await eventually('the silent one is gone', () => lost() === 1);
  assert.equal(figures.failed, 0);
  await assert.rejects(TlsClient.connect(port, { servername: 'b.example' }));
  await eventually('the refused one is gone', () => lost() === 2);
  const halfWay = net.connect(port, '127.0.0.1');
  halfWay.write(Buffer.from([22, 3, 1, 1, 0, 1]));
  halfWay.on('error', () => {}).resume();
  await eventually('it is heard', () => {
    acceptor.close();
    return lost() === 3;
  });
  const good = await TlsClient.connect(port, { servername: 'a.example' });
  await good.session();
  good.close();
  await eventually('the good one is counted', () => figures.completed === 1);
  assert.equal(lost(), 3);
});
