// WebSockets: a tunnel opens only for a handshake that both sides mean, and then only passes bytes.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Gateway, route } from '../support/gateway.ts';
import { RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const ACCEPTED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n';
const FIELDS = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol': 'chat',
};

function handshake(changes: Record<string, string | undefined> = {}, line = 'GET / HTTP/1.1'): string {
  const fields = Object.entries({ Host: 'a', ...FIELDS, ...changes }).filter(
    ([, value]) => value !== undefined,
  );
  return `${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

async function setUp(t: TestContext, script: UpstreamScript = {}, more = {}) {
  const upstream = await RawUpstream.start({ onRequest: () => ACCEPTED, ...script });
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port, { enable_websocket: true, ...more })],
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, gateway, client };
}

test('passes bytes both ways, also those that come with the handshake', async (t) => {
  const { client, upstream, gateway } = await setUp(t, { onRequest: () => `${ACCEPTED}first` });
  client.write(`${handshake()}early`);
  await client.has('\r\n\r\nfirst');
  const [connection] = upstream.connections;
  await connection.has('early');
  assert.match(
    client.text,
    /^HTTP\/1\.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/,
  );
  assert.match(client.text, /\r\nSec-WebSocket-Protocol: chat\r\n/);
  assert.deepEqual(
    ['connection', 'upgrade', 'sec-websocket-key'].map((name) => upstream.requests[0].fields.get(name)),
    ['Upgrade', 'websocket', 'dGhlIHNhbXBsZSBub25jZQ=='],
  );
  const noise = Buffer.alloc(300_000);
  for (let i = 0; i < noise.length; i++) noise[i] = (i * 31) >>> 2;
  connection.socket.on('data', (piece: Buffer) => connection.socket.write(piece));
  const before = client.length;
  client.write(noise);
  await until('the echo', () => client.length === before + noise.length);
  assert.ok(client.received.subarray(before).equals(noise));
  client.socket.end();
  await until('the end', () => connection.ending === 'end');
  connection.socket.end();
  await client.finished();
  assert.equal(client.ending, 'end');
  const [record] = await gateway.recorded(1);
  assert.deepEqual([record.status, record.reason], [101, '']);
  assert.ok(record.bytesIn > 300_000 && record.bytesOut > 300_000);
});

const REFUSED: [name: string, status: number, bytes: string][] = [
  ['another version', 426, handshake({ 'Sec-WebSocket-Version': '777' })],
  ['no version', 426, handshake({ 'Sec-WebSocket-Version': undefined })],
  ['no key', 400, handshake({ 'Sec-WebSocket-Key': undefined })],
  ['a key of the wrong size', 400, handshake({ 'Sec-WebSocket-Key': 'abc' })],
  ['POST', 400, handshake({}, 'POST / HTTP/1.1')],
  ['a body', 400, `${handshake({ 'Content-Length': '3' })}abc`],
];
for (const [name, status, bytes] of REFUSED) {
  test(`answers ${status} to a handshake with ${name}, and asks no Upstream`, async (t) => {
    const { client, upstream, gateway } = await setUp(t);
    client.write(bytes);
    await client.has('\r\n\r\n');
    const [response] = client.responses();
    assert.equal(response.status, status);
    if (status === 426) assert.equal(response.fields.get('sec-websocket-version'), '13');
    assert.equal((await gateway.recorded(1))[0].status, status);
    assert.equal(upstream.requests.length, 0);
  });
}

const IGNORED: [name: string, bytes: string][] = [
  ['no Connection: upgrade', handshake({ Connection: undefined })],
  ['another protocol', handshake({ Upgrade: 'h2c' })],
  ['HTTP/1.0', handshake({}, 'GET / HTTP/1.0')],
];
for (const [name, bytes] of IGNORED) {
  test(`opens no tunnel for a request with ${name}, not even when the Upstream would`, async (t) => {
    const { client, upstream, gateway } = await setUp(t);
    client.write(bytes);
    assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 502 /);
    assert.equal(upstream.requests[0].fields.has('upgrade'), false);
    assert.equal((await gateway.recorded(1))[0].reason, 'bad_response');
  });
}

for (const accept of ['', 's3pPLMBiTxaQ9kYGzzhZRbK+xOp=']) {
  test(`opens no tunnel when the Upstream's proof is ${accept || 'missing'}`, async (t) => {
    const answer = ACCEPTED.replace(
      /Sec-WebSocket-Accept: \S+\r\n/,
      accept && `Sec-WebSocket-Accept: ${accept}\r\n`,
    );
    const { client } = await setUp(t, { onRequest: () => answer });
    client.write(handshake());
    assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 502 /);
  });
}

test('opens no tunnel on a Route that has none', async (t) => {
  const { client, upstream } = await setUp(t, {}, { enable_websocket: false });
  client.write(handshake());
  assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 502 /);
  assert.equal(upstream.requests[0].fields.has('upgrade'), false);
});

test('opens no tunnel when the Upstream switches to something else', async (t) => {
  const { client } = await setUp(t, { onRequest: () => ACCEPTED.replace('websocket', 'h2c') });
  client.write(handshake());
  assert.match(await client.has('\r\n\r\n'), /^HTTP\/1\.1 502 /);
});

test('keeps HTTP as it is when the Upstream declines', async (t) => {
  const { client, gateway } = await setUp(t, {
    onRequest: () => 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno',
  });
  client.write(handshake());
  await client.has('\r\n\r\nno');
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.has((text) => text.split('\r\n\r\nno').length === 3);
  assert.deepEqual(
    (await gateway.recorded(2)).map(({ status }) => status),
    [426, 426],
  );
});

test('ends both sides when one dies', async (t) => {
  const { gateway, upstream } = await setUp(t);
  for (const side of ['client', 'upstream'] as const) {
    const client = await RawClient.connect(gateway.port);
    client.write(handshake());
    await client.has('\r\n\r\n');
    const connection = upstream.connections.at(-1)!;
    (side === 'client' ? client : connection).reset();
    await until('the end of both', () => client.ending !== 'open' || client.closed);
    await until('the end of both', () => connection.ending !== 'open' || connection.closed);
  }
  await gateway.recorded(2);
  await until('no connections', () => gateway.dataPlane.connectionCount === 1);
});

test('delivers what the Upstream sent before it closed', async (t) => {
  const { client, upstream } = await setUp(t);
  client.write(handshake());
  await client.has('\r\n\r\n');
  const start = client.length;
  client.socket.pause();
  upstream.connections[0].socket.write(Buffer.alloc(3_000_000, 'x'));
  upstream.connections[0].socket.end();
  await new Promise((resolve) => setTimeout(resolve, 30));
  client.socket.resume();
  await until('all of it', () => client.length === start + 3_000_000);
  await client.finished();
  assert.equal(client.ending, 'end');
});

test('holds a fast side back for a slow one', async (t) => {
  const { client, upstream } = await setUp(t);
  client.write(handshake());
  await client.has('\r\n\r\n');
  client.socket.pause();
  const { socket } = upstream.connections[0];
  let sent = 0;
  const more = () => {
    while (sent < 64) {
      sent++;
      if (!socket.write(Buffer.alloc(1024 * 1024))) return void socket.once('drain', more);
    }
  };
  more();
  for (let last = -1; last !== sent; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.ok(sent < 24, `${sent} MB were taken`);
});

test('closes a tunnel in which nothing happens for the time between two reads', async (t) => {
  const { client, gateway } = await setUp(
    t,
    {},
    { upstream: { timeout: { connect: 1, send: 1, read: 0.1 } } },
  );
  client.write(handshake());
  await client.has('\r\n\r\n');
  await client.finished();
  const [record] = await gateway.recorded(1);
  assert.deepEqual([record.status, record.reason], [101, 'tunnel_idle']);
});
