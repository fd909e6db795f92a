import assert from 'node:assert/strict';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { startWithFile } from '../support/config-file.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';

/** An upstream that answers with the name it was asked for and by whom. */
async function startSecure(t: Scope, options: TlsOptions): Promise<number> {
  const server = https.createServer(options, (request, response) => {
    const socket = request.socket as TLSSocket & { servername?: string | false };
    const { subject } = socket.getPeerCertificate();
    response.end(`${socket.servername || 'no name'} ${subject?.CN ?? 'nobody'} ${socket.authorized}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A Sluice with a Route for each Upstream, at `/<name>`. */
async function start(t: Scope, upstreams: Readonly<Record<string, object>>, ssls: readonly object[] = []) {
  const routes = Object.entries(upstreams).map(([id, upstream]) => ({
    id,
    uri: `/${id}`,
    upstream: { scheme: 'https', retries: 0, ...upstream },
  }));
  const { sluice } = await startWithFile(t, JSON.stringify({ routes, ssls }), { name: 'sluice.json' });
  return {
    sluice,
    body: async (id: string) => {
      const { status, body } = await sluice.call(`/${id}`);
      return status === 200 ? body : status;
    },
    reason: (id: string) =>
      eventually(
        `a line about ${id}`,
        () => sluice.accessLog.find(({ uri }) => uri === `/${id}`)?.reason as string,
      ),
  };
}

test('verifies whom it asks, by the name of the Target or upstream_host', async (t) => {
  const ca = CertificateAuthority.create(t);
  const port = await startSecure(
    t,
    ca.issue('up', { names: ['DNS:up.example', 'DNS:localhost', 'IP:127.0.0.1'] }),
  );
  const other = await startSecure(t, ca.issue('other', { names: ['DNS:other.example'] }));
  const expired = await startSecure(t, ca.issue('expired', { names: ['DNS:localhost'], days: -1 }));
  const tls = { ca_certs: [ca.cert] };
  const { body, reason } = await start(t, {
    name: { nodes: { [`localhost:${port}`]: 1 }, tls },
    address: { nodes: { [`127.0.0.1:${port}`]: 1 }, tls },
    rewritten: {
      nodes: { [`127.0.0.1:${port}`]: 1 },
      tls,
      pass_host: 'rewrite',
      upstream_host: 'up.example',
    },
    ported: {
      nodes: { [`127.0.0.1:${port}`]: 1 },
      tls,
      pass_host: 'rewrite',
      upstream_host: 'up.example:8443',
    },
    wrong: { nodes: { [`localhost:${other}`]: 1 }, tls },
    stranger: { nodes: { [`localhost:${port}`]: 1 } },
    expired: { nodes: { [`localhost:${expired}`]: 1 }, tls },
    trusting: { nodes: { [`localhost:${expired}`]: 1 }, tls: { verify: false } },
  });
  assert.equal(await body('name'), 'localhost nobody false');
  assert.equal(await body('address'), 'no name nobody false');
  assert.equal(await body('rewritten'), 'up.example nobody false');
  assert.equal(await body('ported'), 'up.example nobody false');
  assert.equal(await body('wrong'), 502);
  assert.equal(await reason('wrong'), 'tls_failed: ERR_TLS_CERT_ALTNAME_INVALID');
  assert.equal(await body('stranger'), 502);
  assert.equal(await reason('stranger'), 'tls_failed: UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.equal(await body('expired'), 502);
  assert.equal(await reason('expired'), 'tls_failed: CERT_HAS_EXPIRED');
  assert.equal(await body('trusting'), 'localhost nobody false');
});

test('shows an upstream the certificate that it wants', async (t) => {
  const ca = CertificateAuthority.create(t);
  const clients = CertificateAuthority.create(t, 'Clients');
  const right = clients.issue('gateway');
  const wrong = CertificateAuthority.create(t).issue('stranger');
  const server = ca.issue('up', { names: ['DNS:localhost'] });
  const wants = { ...server, ca: clients.cert, requestCert: true, rejectUnauthorized: true };
  const [port, old] = [
    await startSecure(t, wants),
    await startSecure(t, { ...wants, maxVersion: 'TLSv1.2' }),
  ];
  const to = (target: number, tls: object) => ({
    nodes: { [`localhost:${target}`]: 1 },
    tls: { ca_certs: [ca.cert], ...tls },
  });
  const own = { client_cert: right.cert, client_key: right.key };
  const { sluice, body, reason } = await start(
    t,
    {
      own: to(port, own),
      old: to(old, own),
      named: to(port, { client_cert_id: 'gateway' }),
      none: to(port, {}),
      nothing: to(old, {}),
      other: to(port, { client_cert: wrong.cert, client_key: wrong.key }),
    },
    [{ id: 'gateway', type: 'client', cert: right.cert, key: right.key }],
  );
  for (const id of ['own', 'old', 'named']) assert.equal(await body(id), 'localhost gateway true');
  for (const id of ['none', 'nothing', 'other']) assert.equal(await body(id), 502);
  // The request may meet the refusal half way: then the connection is reset, and its reason is lost.
  await eventually('the log says that a certificate was wanted', async () => {
    await body('none');
    return sluice.accessLog.some(
      ({ uri, reason }) => uri === '/none' && /^tls_failed: ERR_SSL_\w*CERTIFICATE_REQUIRED/.test(reason),
    );
  });
  assert.match(await reason('nothing'), /^tls_failed: (?:ERR_SSL_|EPROTO)/);
});
