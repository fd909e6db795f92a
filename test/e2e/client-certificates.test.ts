import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionOptions } from 'node:tls';
import { CertificateAuthority, type Issued } from '../support/certificate-authority.ts';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { secureGet, TlsClient } from '../support/tls-client.ts';

/** What the variables say, sent back by the Route itself. */
const VARIABLES = [
  'ssl_protocol',
  'ssl_cipher',
  'ssl_server_name',
  'ssl_session_reused',
  'ssl_client_verify',
  'ssl_client_s_dn',
  'ssl_client_i_dn',
  'ssl_client_serial',
  'ssl_client_fingerprint',
  'ssl_client_escaped_cert',
  'ssl_client_spiffe_id',
  'scheme',
  'https',
];

const headers = Object.fromEntries(VARIABLES.map((name) => [`X-${name.replaceAll('_', '-')}`, `$${name}`]));

async function start(t: Scope, ssls: readonly object[]) {
  const { address } = await startEcho(t);
  const text = (next: readonly object[]) =>
    JSON.stringify({
      listeners: [{ address: '127.0.0.1:0', tls: true }],
      routes: [
        {
          id: 'all',
          uri: '/*',
          upstream: { nodes: { [address]: 1 } },
          plugins: { 'proxy-rewrite': { headers } },
        },
      ],
      ssls: next,
    });
  const gateway = await startWithFile(t, text(ssls), { name: 'sluice.json', keepListeners: true });
  const { sluice } = gateway;
  return { sluice, port: sluice.port, replace: (next: readonly object[]) => gateway.write(text(next)) };
}

const ssl = (id: string, sni: string, { cert, key }: Issued, client?: object) => ({
  id,
  snis: [sni],
  cert,
  key,
  ...(client && { client }),
});

/** What a request with this certificate comes to: its status, or that the connection was refused. */
async function outcome(
  port: number,
  servername: string,
  { cert, key }: Partial<Issued>,
  path = '/',
  more: ConnectionOptions & { host?: string } = {},
) {
  try {
    return (await secureGet(port, path, { servername, cert, key, ...more })).status;
  } catch {
    return 'refused';
  }
}

test('lets in who proves to be known, and nobody else', async (t) => {
  const servers = CertificateAuthority.create(t);
  const clients = CertificateAuthority.create(t, 'Clients');
  const strangers = CertificateAuthority.create(t, 'Clients');
  const server = servers.issue('m.example');
  const nobody = {};
  const right = clients.issue('jane');
  const revoked = clients.issue('mallory');
  const middle = clients.intermediate(t, 'Middle');
  const deep = middle.intermediate(t, 'Deep');
  const crl = clients.revoke(revoked);
  const { port, sluice } = await start(t, [
    ssl('1', 'm.example', server, { ca: clients.cert }),
    ssl('2', 'shallow.example', server, { ca: clients.cert, depth: 0 }),
    ssl('3', 'listed.example', server, { ca: clients.cert, crl }),
    ssl('4', 'open.example', server),
  ]);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const only = { minVersion: version, maxVersion: version };
    const what = (name: string, who: Partial<Issued>) => outcome(port, name, who, '/', only);
    assert.equal(await what('m.example', right), 200);
    assert.equal(await what('m.example', nobody), 'refused');
    assert.equal(await what('m.example', strangers.issue('jane')), 'refused');
    assert.equal(await what('m.example', clients.issue('jane', { days: -1 })), 'refused');
    assert.equal(await what('m.example', middle.issue('jane')), 200);
    assert.equal(await what('m.example', deep.issue('jane')), 'refused');
    assert.equal(await what('shallow.example', right), 200);
    assert.equal(await what('shallow.example', middle.issue('jane')), 'refused');
    assert.equal(await what('listed.example', right), 200);
    assert.equal(await what('listed.example', revoked), 'refused');
    assert.equal(await what('open.example', nobody), 200);
  }
  for (const reason of ['CERT_HAS_EXPIRED', 'certificate chain too long', 'CERT_REVOKED']) {
    await eventually(`the log names ${reason}`, () =>
      sluice.log.some(({ message }) => message.includes(reason)),
    );
  }
});

test('asks for a certificate only where an SSL wants one, and makes no sessions there', async (t) => {
  const ca = CertificateAuthority.create(t);
  const server = ca.issue('any');
  const { port } = await start(t, [
    ssl('1', 'm.example', server, { ca: ca.cert }),
    ssl('2', 'open.example', server),
  ]);
  const right = ca.issue('jane');
  const session = async (servername: string) => {
    const client = await TlsClient.connect(port, { servername, ...right });
    await client.get('/', servername);
    const got = await client.session();
    client.close();
    return got;
  };
  const open = await session('open.example');
  const resumed = await TlsClient.connect(port, { servername: 'open.example', session: open });
  assert.ok(resumed.socket.isSessionReused());
  resumed.close();
  // A session of a name that asks for nothing proves nothing to one that does.
  assert.equal(await outcome(port, 'm.example', {}, '/', { session: open }), 'refused');
  assert.equal(await outcome(port, 'm.example', right, '/', { session: open }), 200);
  const own = await session('m.example');
  assert.equal(await outcome(port, 'm.example', {}, '/', { session: own }), 'refused');
});

test('answers 400 without proof, but for the paths that anybody may ask for', async (t) => {
  const ca = CertificateAuthority.create(t);
  const strangers = CertificateAuthority.create(t);
  const skip = { ca: ca.cert, skip_mtls_uri_regex: ['^/open/', '^/health$'] };
  const { port } = await start(t, [ssl('1', 'm.example', ca.issue('any'), skip)]);
  const what = (who: Partial<Issued>, path: string) => outcome(port, 'm.example', who, path);
  for (const who of [{}, strangers.issue('x'), ca.issue('x', { days: -1 })]) {
    assert.equal(await what(who, '/open/door'), 200);
    assert.equal(await what(who, '/health'), 200);
    assert.equal(await what(who, '/closed'), 400);
    assert.equal(await what(who, '/healthy'), 400);
    assert.equal(await what(who, '/open/../closed'), 400);
    assert.equal(await what(who, '/closed?/open/'), 400);
  }
  assert.equal(await what(ca.issue('x'), '/closed'), 200);
});

test('another name in the handshake opens no protected host, nor does one that was opened before', async (t) => {
  const ca = CertificateAuthority.create(t);
  const other = CertificateAuthority.create(t);
  const server = ca.issue('any');
  const open = ssl('1', 'open.example', server);
  const { port, replace } = await start(t, [
    open,
    ssl('2', 'm.example', server, { ca: ca.cert }),
    ssl('3', 'n.example', server, { ca: other.cert }),
    ssl('4', '*.w.example', server, { ca: ca.cert }),
  ]);
  const right = ca.issue('jane');
  const what = (servername: string, host: string, who: Partial<Issued> = right) =>
    outcome(port, servername, who, '/', { host });
  assert.equal(await what('open.example', 'm.example'), 421);
  assert.equal(await what('open.example', 'M.Example.'), 421);
  assert.equal(await what('open.example', 'm.example:443', {}), 421);
  assert.equal(await what('m.example', 'n.example'), 421);
  assert.equal(await what('m.example', 'open.example'), 200);
  assert.equal(await what('open.example', 'unknown.example'), 200);
  // One SSL asks the same of all its names.
  assert.equal(await what('a.w.example', 'b.w.example'), 200);

  const standing = await TlsClient.connect(port, { servername: 'm.example', ...right });
  t.after(() => standing.close());
  assert.equal((await standing.get('/', 'm.example')).status, 200);
  replace([open, ssl('2', 'm.example', server, { ca: other.cert })]);
  await eventually('the new CA', async () => (await what('m.example', 'm.example')) === 'refused');
  assert.equal((await standing.get('/', 'm.example')).status, 421);
});

test('shows the certificate in variables as nginx does', async (t) => {
  const ca = CertificateAuthority.create(t, 'Clients');
  const { port } = await start(t, [
    ssl('1', 'm.example', ca.issue('any'), { ca: ca.cert, skip_mtls_uri_regex: ['.'] }),
  ]);
  const jane = ca.issue('jane', {
    subject: '/C=DE/O=Acme, Inc./CN=jané',
    names: ['URI:spiffe://acme.example/ns/shop/sa/cart', 'DNS:cart'],
  });
  const seen = async (who: Partial<Issued>, path = '/') => {
    const { body } = await secureGet(port, path, { servername: 'm.example', ...who });
    const { rawHeaders } = JSON.parse(body) as { rawHeaders: string[] };
    const fields = new Map<string, string>();
    for (let at = 0; at < rawHeaders.length; at += 2)
      fields.set(rawHeaders[at].toLowerCase(), rawHeaders[at + 1]);
    return (name: string) => fields.get(`x-${name.replaceAll('_', '-')}`);
  };
  const value = await seen(jane);
  assert.equal(value('ssl_protocol'), 'TLSv1.3');
  assert.match(String(value('ssl_cipher')), /^TLS_AES_/);
  assert.equal(value('ssl_server_name'), 'm.example');
  assert.equal(value('ssl_session_reused'), '.');
  assert.equal(value('ssl_client_verify'), 'SUCCESS');
  assert.equal(value('ssl_client_s_dn'), 'CN=jan\\C3\\A9,O=Acme\\, Inc.,C=DE');
  assert.equal(value('ssl_client_i_dn'), 'CN=Clients');
  assert.match(String(value('ssl_client_serial')), /^1A2[0-9A-F]$/);
  assert.match(String(value('ssl_client_fingerprint')), /^[0-9a-f]{40}$/);
  assert.equal(decodeURIComponent(String(value('ssl_client_escaped_cert'))), jane.cert);
  assert.equal(value('ssl_client_spiffe_id'), 'spiffe://acme.example/ns/shop/sa/cart');
  assert.equal(value('scheme'), 'https');
  assert.equal(value('https'), 'on');
  const none = await seen({});
  assert.equal(none('ssl_client_verify'), 'NONE');
  assert.equal(none('ssl_client_s_dn') ?? '', '');
  const expired = await seen(ca.issue('old', { days: -1 }));
  assert.equal(expired('ssl_client_verify'), 'FAILED:certificate has expired');
});
