// The experiments of slow and hostile clients: they get what they deserve, and nobody else notices.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http-call.ts';
import type { SluiceProcess } from '../support/process.ts';

const MEGABYTE = 1024 * 1024;

function connect(t: TestContext, sluice: SluiceProcess): net.Socket & { text: string; over: boolean } {
  const socket = Object.assign(net.connect(sluice.port, '127.0.0.1'), { text: '', over: false });
  socket.setEncoding('latin1');
  socket.on('data', (text: string) => {
    socket.text += text;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    socket.over = true;
  });
  t.after(() => socket.destroy());
  return socket;
}

function residentBytes(sluice: SluiceProcess): number {
  const status = readFileSync(`/proc/${sluice.child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

test('16. five hundred clients that never end their heads are closed at the head timeout; others are served', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(
    t,
    `client: { header_timeout: 1 }\nroutes: [{ id: all, uri: /*, upstream: { nodes: { '${upstream.address}': 1 } } }]\n`,
    { accessLog: 'off' },
  );
  const slow = Array.from({ length: 500 }, () => connect(t, sluice));
  await Promise.all(slow.map((socket) => once(socket, 'connect')));
  for (const socket of slow) socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  // A byte now and then must not buy more time.
  const drip = setInterval(() => {
    for (const socket of slow) if (!socket.over) socket.write('x');
  }, 200);
  t.after(() => clearInterval(drip));
  for (let i = 0; i < 20; i++) assert.equal((await sluice.call('/')).status, 200);
  await eventually('all of them are closed', () => slow.every(({ over }) => over));
  clearInterval(drip);
  for (const { text } of slow) assert.match(text, /^HTTP\/1\.1 408 /);
});

test('17. a client that stalls in its body gets 408, one that stops reading is dropped', async (t) => {
  const upstream = await startEcho(t, ({ url }, response) => {
    if (url !== '/endless') return false;
    response.writeHead(200);
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    };
    response.on('drain', more);
    more();
    return true;
  });
  const { sluice } = await startWithFile(
    t,
    `client: { body_timeout: 1, send_timeout: 1 }\nroutes: [{ id: all, uri: /*, upstream: { nodes: { '${upstream.address}': 1 } } }]\n`,
  );
  const stalled = connect(t, sluice);
  stalled.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf');
  const deaf = connect(t, sluice);
  deaf.pause();
  deaf.write('GET /endless HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually('the stalled body is refused', () => stalled.over);
  assert.match(stalled.text, /^HTTP\/1\.1 408 /);
  await eventually('the deaf client is dropped', () =>
    sluice.accessLog.some(({ reason }) => reason === 'client_send_timeout'),
  );
});

test('22. slow readers and slow takers of large bodies cost no memory', async (t) => {
  const TOTAL = 300 * MEGABYTE;
  const PIECE = Buffer.alloc(MEGABYTE, 'x');
  const upstream = http.createServer((request, response) => {
    if (request.method === 'POST') {
      request.pause();
      return;
    }
    response.writeHead(200, { 'Content-Length': TOTAL });
    if (request.method === 'HEAD') return void response.end();
    let left = TOTAL;
    const more = () => {
      while (left > 0 && !response.destroyed) {
        left -= PIECE.length;
        if (!response.write(PIECE)) return void response.once('drain', more);
      }
    };
    more();
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const { port } = upstream.address() as net.AddressInfo;
  const { sluice } = await startWithFile(
    t,
    `routes: [{ id: all, uri: /*, upstream: { nodes: { '127.0.0.1:${port}': 1 } } }]\n`,
    { accessLog: 'off' },
  );
  await sluice.call('/', { method: 'HEAD' });
  const before = residentBytes(sluice);
  const readers = Array.from({ length: 10 }, () => connect(t, sluice).pause());
  for (const reader of readers) reader.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const uploaders = Array.from({ length: 10 }, () => connect(t, sluice));
  let taken = 0;
  for (const uploader of uploaders) {
    uploader.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    const more = () => {
      do taken += PIECE.length;
      while (uploader.write(PIECE));
    };
    uploader.on('drain', more);
    more();
  }
  let last = -1;
  await eventually('nothing moves any more', async () => {
    const settled = taken === last;
    last = taken;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return settled && taken === last;
  });
  const growth = residentBytes(sluice) - before;
  assert.ok(taken < TOTAL, `${taken} bytes were taken of uploads that nobody reads`);
  assert.ok(growth < 64 * MEGABYTE, `grew by ${(growth / MEGABYTE).toFixed(0)} MiB`);
});

test('15. clients that leave take their requests with them', async (t) => {
  const open = new Set<net.Socket>();
  const upstream = net.createServer((socket) => {
    open.add(socket.resume());
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    upstream.close();
  });
  const { port } = upstream.address() as net.AddressInfo;
  const { sluice } = await startWithFile(
    t,
    `routes: [{ id: all, uri: /*, upstream: { nodes: { '127.0.0.1:${port}': 1 } } }]\n`,
    { accessLog: 'off' },
  );
  for (let round = 0; round < 4; round++) {
    const clients = Array.from({ length: 250 }, () => connect(t, sluice));
    for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually('all requests are under way', () => open.size === 250);
    for (const client of clients) client.resetAndDestroy();
    await eventually('all requests are cancelled', () => open.size === 0);
  }
  // Their own are gone as well; that of a call before may be idle.
  await eventually('no connection is left', async () => {
    const { body } = await call(sluice.metrics);
    return Number(/^apisix_nginx_http_current_connections\{state="active"\} (\d+)/m.exec(body)?.[1]) <= 1;
  });
});

test('42. what a client writes can not become a line or a colour in the log', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(
    t,
    `routes: [{ id: all, uri: /*, upstream: { nodes: { '${upstream.address}': 1 } } }]\n`,
  );
  const evil = connect(t, sluice);
  evil.write('GET /a%0d%0a%1b[31m?token=hush&x=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: "\\x1b[2J\t"}{"\r\n\r\n');
  await eventually('it is logged', () => sluice.accessLog.length === 1);
  assert.equal(sluice.stdout.trim().split('\n').length, 1);
  assert.doesNotMatch(sluice.stdout, /[\x00-\x09\x0b-\x1f\x7f]|hush/);
});
