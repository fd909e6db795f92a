// WebSockets between a real client and a real server, and how they end when the gateway stops.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { Gateway, type GatewayOptions, route } from '../support/gateway.ts';
import { until } from '../support/raw.ts';

async function setUp(t: TestContext, more = {}, options: Partial<GatewayOptions> = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 64 * 1024 * 1024 });
  await new Promise((resolve) => server.once('listening', resolve));
  const sockets: WebSocket[] = [];
  const closes: number[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('close', (code) => closes.push(code));
    socket.on('error', () => {});
  });
  t.after(() => {
    for (const socket of sockets) socket.terminate();
    server.close();
  });
  const gateway = await Gateway.start(t, {
    routes: [route('all', (server.address() as AddressInfo).port, { enable_websocket: true, ...more })],
    ...options,
  });
  const client = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat`, ['second', 'first']);
  const ended = new Promise<number>((resolve) => client.once('close', resolve));
  t.after(() => client.terminate());
  const error = new Promise((resolve) => client.once('error', resolve));
  const open = new Promise((resolve) => client.once('open', resolve));
  return { server, sockets, closes, gateway, client, open, error, ended };
}

function nextMessage(client: WebSocket): Promise<Buffer> {
  return new Promise((resolve) => client.once('message', (data) => resolve(data as Buffer)));
}

test('passes messages of all sizes, pings, the subprotocol and the close code', async (t) => {
  const { client, open, ended, closes, sockets } = await setUp(t);
  await open;
  assert.equal(client.protocol, 'second');
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 16 * 1024 * 1024]) {
    const sent = Buffer.alloc(size, size & 255);
    client.send(sent);
    assert.ok((await nextMessage(client)).equals(sent), String(size));
  }
  const pong = new Promise((resolve) => client.once('pong', (data) => resolve(data.toString())));
  client.ping('are you there');
  assert.equal(await pong, 'are you there');
  client.send('frag', { fin: false });
  client.ping();
  client.send('ment', { fin: true });
  assert.equal((await nextMessage(client)).toString(), 'fragment');
  sockets[0].close(4321, 'enough');
  assert.equal(await ended, 4321);
  await until('the close at the server', () => closes.length === 1);
});

test('tells both sides 1001 when it drains', async (t) => {
  const { client, open, ended, closes, gateway } = await setUp(t);
  await open;
  client.send('hello');
  await nextMessage(client);
  await gateway.dataPlane.drain(4_000);
  assert.equal(await ended, 1001);
  await until('the close at the server', () => closes.length === 1);
  assert.deepEqual(closes, [1001]);
  const [record] = await gateway.recorded(1);
  assert.deepEqual([record.status, record.reason], [101, 'draining']);
});

test('completes the frames under way before it says 1001', async (t) => {
  const { client, open, ended, gateway, sockets } = await setUp(t);
  await open;
  await until('the server', () => sockets.length === 1);
  const large = Buffer.alloc(8 * 1024 * 1024, 7);
  const received = nextMessage(client);
  client.pause();
  sockets[0].send(large);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const drained = gateway.dataPlane.drain(4_000);
  client.resume();
  assert.ok((await received).equals(large));
  assert.equal(await ended, 1001);
  await drained;
});

test('keeps what a closed configuration has opened', async (t) => {
  const { client, open, gateway } = await setUp(t);
  await open;
  gateway.runtime.apply({
    revision: 2,
    puts: [],
    removals: [{ kind: 'routes', id: 'all', workspace: 'default' }],
  } as never);
  client.send('still there');
  assert.equal((await nextMessage(client)).toString(), 'still there');
  const gone = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat`);
  const refused = new Promise<Error>((resolve) => gone.once('error', resolve));
  assert.match((await refused).message, /404/);
});

test('cuts the client when the server dies', async (t) => {
  const { open, ended, sockets } = await setUp(t);
  await open;
  await until('the server', () => sockets.length === 1);
  sockets[0].terminate();
  assert.equal(await ended, 1006);
});

test('opens none on a Route that has none', async (t) => {
  const { error } = await setUp(t, { enable_websocket: undefined });
  assert.match(String(await error), /Unexpected server response: (426|400|502)/);
});
