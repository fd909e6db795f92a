// Bodies on their way through the gateway: as they come, with back-pressure both ways, and nothing
// that grows without limit.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { deadlinesOf } from '../../src/lib/deadlines.ts';
import { Gateway, type GatewayOptions, route } from '../support/gateway.ts';
import { OK, RawClient, type RawSocket, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const MEGABYTE = 1024 * 1024;
const get = (target = '/') => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;

async function setUp(t: TestContext, script: UpstreamScript, options: Partial<GatewayOptions> = {}) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, { routes: [route('all', upstream.port)], ...options });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, gateway, client };
}

/** Writes `total` bytes as fast as the other end takes them; how many were taken so far. */
function pump(socket: RawSocket, total: number, piece: Buffer): { sent: number } {
  const progress = { sent: 0 };
  const more = () => {
    while (progress.sent < total) {
      const size = Math.min(piece.length, total - progress.sent);
      progress.sent += size;
      if (!socket.socket.write(piece.subarray(0, size))) {
        socket.socket.once('drain', more);
        return;
      }
    }
  };
  more();
  return progress;
}

/** Stops recording: these tests are about amounts. */
function count(socket: RawSocket): { received: number } {
  const counter = { received: 0 };
  socket.socket.removeAllListeners('data');
  socket.socket.on('data', (piece: Buffer) => {
    counter.received += piece.length;
  });
  return counter;
}

/** Waits until a number has stopped growing. */
async function settled(value: () => number): Promise<number> {
  for (let last = -1; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (value() === last) return last;
    last = value();
  }
}

test('holds a fast Upstream back for a slow reader', async (t) => {
  const TOTAL = 64 * MEGABYTE;
  let progress = { sent: 0 };
  const { client } = await setUp(t, {
    onRequest: ({ connection }) => {
      connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
      progress = pump(connection, TOTAL, Buffer.alloc(MEGABYTE, 'x'));
    },
  });
  const counter = count(client);
  client.socket.pause();
  client.write(get());
  const before = process.memoryUsage.rss();
  const stalled = await settled(() => progress.sent);
  assert.ok(stalled > 0 && stalled < 24 * MEGABYTE, `${stalled} bytes were taken from the Upstream`);
  assert.ok(process.memoryUsage.rss() - before < 48 * MEGABYTE);
  client.socket.resume();
  await until('all of it', () => counter.received > TOTAL, 20_000);
});

test('holds a fast uploader back for a slow Upstream', async (t) => {
  const TOTAL = 64 * MEGABYTE;
  let counter = { received: 0 };
  const { client, upstream } = await setUp(t, {
    onConnection(connection) {
      connection.socket.removeAllListeners('data');
      setImmediate(() => {
        counter = count(connection);
        connection.socket.pause();
      });
    },
  });
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL}\r\n\r\n`);
  const progress = pump(client, TOTAL, Buffer.alloc(MEGABYTE, 'x'));
  const stalled = await settled(() => progress.sent);
  assert.ok(stalled > 0 && stalled < 24 * MEGABYTE, `${stalled} bytes were taken from the client`);
  upstream.connections[0].socket.resume();
  await until('all of it', () => counter.received > TOTAL, 20_000);
  upstream.connections[0].write(OK);
  await client.has('ok');
});

test('passes large bodies unchanged, with a length, in chunks and up to the end', async (t) => {
  const body = Buffer.alloc(3 * MEGABYTE);
  for (let i = 0; i < body.length; i++) body[i] = (i * 7919) >>> 3;
  const digest = createHash('sha256').update(body).digest('hex');
  const { gateway } = await setUp(t, {
    onRequest: ({ target, body: uploaded, connection }) => {
      assert.equal(createHash('sha256').update(uploaded, 'latin1').digest('hex'), digest);
      if (target === '/length') {
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        connection.write(body);
      } else if (target === '/close') {
        connection.write('HTTP/1.1 200 OK\r\n\r\n');
        connection.write(body);
        connection.socket.end();
      } else {
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let at = 0, size = 1; at < body.length; at += size, size = (size * 3) % 99_991) {
          const piece = body.subarray(at, at + size);
          connection.write(`${piece.length.toString(16)}\r\n`);
          connection.write(piece);
          connection.write('\r\n');
        }
        connection.write('0\r\n\r\n');
      }
    },
  });
  for (const target of ['/length', '/chunked', '/close']) {
    const client = await RawClient.connect(gateway.port);
    if (target === '/chunked') {
      client.write(`POST ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (let at = 0; at < body.length; at += 77_777) {
        const piece = body.subarray(at, at + 77_777);
        client.write(`${piece.length.toString(16)}\r\n`);
        client.write(piece);
        client.write('\r\n');
      }
      client.write('0\r\n\r\n');
    } else {
      client.write(`POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
      client.write(body);
    }
    await until('the response', () => client.length > body.length, 10_000);
    await until('its end', () => client.responses()[0].complete, 10_000);
    const [response] = client.responses();
    assert.equal(createHash('sha256').update(response.body, 'latin1').digest('hex'), digest, target);
    client.destroy();
  }
});

test('reads no further requests from a client that does not read its answers', async (t) => {
  const { client, gateway } = await setUp(t, {
    onRequest: () => `HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`,
  });
  client.socket.pause();
  // 400 answers of 60 kB would be 24 MB in memory.
  client.write(get().repeat(400));
  const answered = await settled(() => gateway.records.length);
  assert.ok(answered > 0 && answered < 250, `${answered} answers are waiting for the client`);
  const counter = count(client);
  client.socket.resume();
  await until('all answers', () => counter.received > 400 * 60_000, 10_000);
  await gateway.recorded(400);
});

test('drops a client that does not read for too long, and cancels its request', async (t) => {
  const { client, upstream, gateway } = await setUp(
    t,
    {
      onRequest: ({ connection }) => {
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MEGABYTE}\r\n\r\n`);
        pump(connection, 64 * MEGABYTE, Buffer.alloc(MEGABYTE));
      },
    },
    { limits: { send: deadlinesOf(100) } },
  );
  client.socket.pause();
  client.write(get());
  await until('the record', () => gateway.records.length === 1);
  assert.deepEqual([gateway.records[0].status, gateway.records[0].reason], [200, 'client_send_timeout']);
  await until(
    'the cancellation',
    () => upstream.connections[0].ending !== 'open' || upstream.connections[0].closed,
  );
});

test('lets a slow reader take its time as long as it reads', async (t) => {
  const size = 24 * MEGABYTE;
  const { client, gateway } = await setUp(
    t,
    {
      onRequest: ({ connection }) => {
        connection.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
        pump(connection, size, Buffer.alloc(MEGABYTE));
      },
    },
    { limits: { send: deadlinesOf(150) } },
  );
  const counter = count(client);
  client.socket.pause();
  const sips = setInterval(() => {
    client.socket.resume();
    setTimeout(() => client.socket.pause(), 2);
  }, 40);
  t.after(() => clearInterval(sips));
  client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await until('all of it', () => counter.received > size, 20_000);
  assert.deepEqual(
    (await gateway.recorded(1)).map(({ reason }) => reason),
    [''],
  );
});

test('keeps half a stream open: a response that streams before the request has ended', async (t) => {
  const { client, upstream } = await setUp(t, {
    onHead: () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n',
    onRequest: ({ body }) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc');
  await client.has('early');
  client.write('def');
  await client.has('6\r\nabcdef\r\n0\r\n\r\n');
  assert.equal(upstream.requests[0].body, 'abcdef');
});
