import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { MetricsServer } from './metrics-server.ts';

const PIECE = Buffer.alloc(262_144, 'x');
let pieces = 3;
let made = 0;

const server = await MetricsServer.listen({
  address: '127.0.0.1',
  port: 0,
  path: '/metrics',
  exposition: function* () {
    for (let piece = 0; piece < pieces; piece++) {
      made++;
      yield PIECE;
    }
  },
});
after(() => server.close());

async function open(text: string): Promise<Socket> {
  const socket = connect(server.listeningAddress.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

test('answers the first scrape and further ones on the same connection', async () => {
  const socket = await open('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n');
  let received = 0;
  let asked = 1;
  for await (const chunk of socket) {
    received += chunk.filter((byte: number) => byte === 0x78).length;
    if (received >= asked * 3 * PIECE.length && asked < 3) {
      asked++;
      socket.write(`GET /metrics HTTP/1.1\r\nhost: a\r\n${asked === 3 ? 'connection: close\r\n' : ''}\r\n`);
    }
  }
  // The head of each answer has an x of its own ("text").
  assert.equal(received, 3 * (3 * PIECE.length + 1));
});

test('makes no more of a scrape than its reader takes', async () => {
  pieces = 1000;
  made = 0;
  const socket = await open('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n');
  socket.pause();
  let before = -1;
  while (made === 0 || made > before) {
    before = made;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(made < 200, `${made} pieces`);
  socket.destroy();
  pieces = 3;
});

test('answers others while one reads slowly, and ends with all connections', async () => {
  pieces = 1000;
  const slow = await open('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n');
  slow.pause();
  const idle = await open('GET /met');
  const other = await open('HEAD /metrics HTTP/1.1\r\nhost: a\r\n\r\n');
  const [head] = await once(other, 'data');
  assert.match(String(head), /^HTTP\/1\.1 200 OK\r\n/);
  const closed = Promise.all([idle, other].map((socket) => once(socket, 'close')));
  slow.on('error', () => {});
  server.close();
  await closed;
  slow.destroy();
});
