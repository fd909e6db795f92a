// What HTTP does on a connection, once more with TLS under it.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import WebSocket, { WebSocketServer } from 'ws';
import { CertificateAuthority } from '../support/certificate-authority.ts';
import { startWithFile } from '../support/config-file.ts';
import { type Scope, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { TlsClient } from '../support/tls-client.ts';

async function start(t: Scope, port: number) {
  const ca = CertificateAuthority.create(t);
  const { cert, key } = ca.issue('a.example');
  const config = {
    listeners: [{ address: '127.0.0.1:0', tls: true }],
    routes: [
      { id: 'all', uri: '/*', enable_websocket: true, upstream: { nodes: { [`127.0.0.1:${port}`]: 1 } } },
    ],
    ssls: [{ id: '1', sni: 'a.example', cert, key }],
  };
  const { sluice } = await startWithFile(t, JSON.stringify(config), {
    name: 'sluice.json',
    keepListeners: true,
  });
  return { sluice, port: sluice.port, ca: ca.cert };
}

async function serve(t: Scope, handler: http.RequestListener): Promise<http.Server> {
  const server = http.createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  t.after(() => server.closeAllConnections());
  return server;
}
const portOf = (server: http.Server) => (server.address() as AddressInfo).port;
const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('large bodies pass unharmed in both directions, however slowly they are read', async (t) => {
  const bytes = randomBytes(12 * 1024 * 1024);
  const server = await serve(t, (request, response) => {
    const hash = createHash('sha256');
    request.on('data', (part) => {
      hash.update(part);
      request.pause();
      setImmediate(() => request.resume());
    });
    request.on('end', () => {
      response.setHeader('X-Digest', hash.digest('hex'));
      response.end(bytes);
    });
  });
  const { port, ca } = await start(t, portOf(server));
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (const framing of [{ 'Content-Length': bytes.length }, {}]) {
    const request = https.request({
      host: '127.0.0.1',
      port,
      servername: 'a.example',
      ca,
      method: 'POST',
      agent,
      headers: framing,
    });
    request.end(bytes);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    assert.equal(response.headers['x-digest'], digest(bytes));
    const parts: Buffer[] = [];
    for await (const part of response) {
      parts.push(part as Buffer);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(digest(Buffer.concat(parts)), digest(bytes));
  }
});

test('WebSockets and pipelined requests work as without TLS', async (t) => {
  const server = await serve(t, (request, response) => response.end(request.url));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)));
  const { port, ca } = await start(t, portOf(server));
  const options: tls.ConnectionOptions & { allowHalfOpen: true } = {
    servername: 'a.example',
    ca,
    allowHalfOpen: true,
  };
  const client = new WebSocket(`wss://127.0.0.1:${port}/chat`, options as WebSocket.ClientOptions);
  await once(client, 'open');
  const sent = randomBytes(300_000);
  client.send(sent);
  const [echoed] = (await once(client, 'message')) as [Buffer];
  assert.equal(digest(echoed), digest(sent));
  client.close();
  await once(client, 'close');

  // The client says that it is done (close_notify) and still gets all answers.
  const piped = tls.connect({ ...options, host: '127.0.0.1', port } as tls.ConnectionOptions);
  piped.end(['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`).join(''));
  let text = '';
  for await (const part of piped) text += part;
  assert.deepEqual(
    [...text.matchAll(/\r\n\r\n(\/\d)/g)].map(([, path]) => path),
    ['/1', '/2', '/3'],
  );
});

test('a stop lets a request end and says goodbye to idle connections', async (t) => {
  const upstream = await startEcho(t);
  const { sluice, port, ca } = await start(t, upstream.port);
  const options = { servername: 'a.example', ca };
  const [busy, idle] = await Promise.all([
    TlsClient.connect(port, options),
    TlsClient.connect(port, options),
  ]);
  assert.equal((await idle.get('/')).status, 200);
  const answer = busy.get('/delay/300');
  await eventually('the request is under way', () => upstream.requests.length === 2);
  const goodbye = once(idle.socket, 'end');
  sluice.signal('SIGTERM');
  await goodbye;
  assert.equal((await answer).status, 200);
  assert.equal((await sluice.exited).code, 0);
});
