// What else is spoken with TLS under it, or goes before it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { freePort } from '../support/free-port.ts';
import { TlsClient } from '../support/tls-client.ts';

test('TCP streams are terminated, and routed by the name of the handshake', async (t) => {
  const ca = CertificateAuthority.create(t);
  const { cert, key } = ca.issue('any', { names: ['DNS:a.example', 'DNS:b.example', 'DNS:m.example'] });
  const targets = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const server = net.createServer((socket) =>
        socket
          .pipe(socket)
          .on('error', () => {})
          .write(`${name} `),
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.after(() => server.close());
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }),
  );
  const port = await freePort();
  const client = { ca: ca.cert, skip_mtls_uri_regex: ['.'] };
  const config = {
    listeners: [{ address: '127.0.0.1:0' }, { address: `127.0.0.1:${port}`, protocol: 'tcp', tls: true }],
    stream_routes: [
      { id: 'two', sni: 'b.example', upstream: { nodes: { [targets[1]]: 1 } } },
      { id: 'one', upstream: { nodes: { [targets[0]]: 1 } } },
    ],
    ssls: [
      { id: '1', sni: '*.example', cert, key },
      { id: '2', sni: 'm.example', cert, key, client },
    ],
  };
  await startWithFile(t, JSON.stringify(config), { name: 'sluice.json', keepListeners: true });
  const talk = async (servername: string, more: tls.ConnectionOptions = {}) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca: ca.cert, ...more });
    socket.end('hello');
    let text = '';
    for await (const part of socket) text += part;
    return text;
  };
  assert.equal(await talk('a.example'), 'one hello');
  assert.equal(await talk('b.example'), 'two hello');
  // Without requests there are no paths to make exceptions for.
  const nothing = await talk('m.example').catch(() => '');
  assert.equal(nothing, '');
  assert.equal(await talk('m.example', ca.issue('jane')), 'one hello');
});

test('a PROXY protocol header goes before the handshake', async (t) => {
  const upstream = await startEcho(t);
  const ca = CertificateAuthority.create(t);
  const { cert, key } = ca.issue('a.example');
  const config = {
    listeners: [{ address: '127.0.0.1:0', tls: true, proxy_protocol: true }],
    trusted_addresses: ['127.0.0.1'],
    client: { max_connections_per_address: 1 },
    routes: [{ id: 'all', uri: '/*', upstream: { nodes: { [upstream.address]: 1 } } }],
    ssls: [{ id: '1', sni: 'a.example', cert, key }],
  };
  const { sluice } = await startWithFile(t, JSON.stringify(config), {
    name: 'sluice.json',
    keepListeners: true,
  });
  // More often than one address may have connections: each must be let go, also after a failed handshake.
  for (const servername of ['a.example', 'b.example', 'a.example', 'b.example', 'a.example']) {
    const socket = net.connect(sluice.port, '127.0.0.1');
    socket.write('PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n');
    const attempt = TlsClient.connect(sluice.port, { socket, servername, ca: ca.cert });
    if (servername === 'b.example') {
      await assert.rejects(attempt, /unrecognized name/);
      await once(socket, 'close');
      continue;
    }
    const client = await attempt;
    const { rawHeaders } = JSON.parse((await client.get('/')).body) as { rawHeaders: string[] };
    assert.match(rawHeaders.join(), /X-Real-IP,203\.0\.113\.9,/i);
    client.socket.end();
    await once(client.socket, 'close');
  }
});

test('HTTP/2 where the client offers it, with the same certificates and the same refusals', async (t) => {
  const upstream = await startEcho(t);
  const ca = CertificateAuthority.create(t);
  const { cert, key } = ca.issue('any', { names: ['DNS:a.example', 'DNS:m.example'] });
  const headers = {
    'X-Protocol': '$ssl_protocol',
    'X-Name': '$ssl_server_name',
    'X-Client': '$ssl_client_s_dn',
  };
  const config = {
    listeners: [
      { address: '127.0.0.1:0', tls: true },
      { address: `127.0.0.1:${await freePort()}`, tls: true, http2: false },
    ],
    routes: [
      {
        id: 'all',
        uri: '/*',
        plugins: { 'proxy-rewrite': { headers } },
        upstream: { nodes: { [upstream.address]: 1 } },
      },
    ],
    ssls: [
      { id: '1', sni: 'a.example', cert, key },
      { id: '2', sni: 'm.example', cert, key, client: { ca: ca.cert } },
    ],
  };
  const { sluice } = await startWithFile(t, JSON.stringify(config), {
    name: 'sluice.json',
    keepListeners: true,
  });
  const offered = { servername: 'a.example', ca: ca.cert, ALPNProtocols: ['h2', 'http/1.1'] };
  const get = async (session: http2.ClientHttp2Session, authority: string) => {
    const stream = session.request({ ':path': '/x', ':authority': authority });
    const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    let body = '';
    for await (const part of stream) body += part;
    return { status: fields[':status'], body };
  };
  const open = http2.connect(`https://127.0.0.1:${sluice.port}`, offered);
  t.after(() => open.destroy());
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(open, 'a.example')));
  assert.ok(answers.every(({ status }) => Number(status) === 200));
  const fields = JSON.parse(answers[0].body).rawHeaders.join();
  assert.match(fields, /X-Forwarded-Proto,https/i);
  assert.match(fields, /X-Protocol,TLSv1\.3/i);
  assert.match(fields, /X-Name,a\.example/i);
  assert.equal((await get(open, 'm.example')).status, 421);
  const proved = http2.connect(`https://127.0.0.1:${sluice.port}`, {
    ...offered,
    servername: 'm.example',
    ...ca.issue('jane'),
  });
  t.after(() => proved.destroy());
  assert.match((await get(proved, 'm.example')).body, /CN=jane/);
  const chosen = async (port: number) => {
    const client = await TlsClient.connect(port, offered);
    client.close();
    return client.socket.alpnProtocol;
  };
  assert.equal(await chosen(sluice.port), 'h2');
  assert.equal(
    await chosen(Number(new URL(config.listeners[1].address.replace(/^/, 'x://')).port)),
    'http/1.1',
  );
});
