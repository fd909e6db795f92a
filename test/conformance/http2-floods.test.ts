// HTTP/2 as a weapon (RELIABILITY's experiment 20): each flood ends the session or costs next to
// nothing, and other clients are served meanwhile.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { END_HEADERS, END_STREAM, Frame, FrameClient, fieldBlock, frame, GET } from '../support/frames.ts';
import { Gateway, route } from '../support/gateway.ts';
import { Http2Client } from '../support/http2-client.ts';
import { RawUpstream, until } from '../support/raw.ts';

async function setUp(t: TestContext) {
  const upstream = await RawUpstream.start();
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port)],
    listener: { http2: true },
  });
  const client = await FrameClient.connect(gateway.port);
  t.after(() => client.raw.destroy());
  await until('SETTINGS', () => client.find(Frame.Settings) !== undefined);
  return { upstream, gateway, client };
}

const ended = (client: FrameClient) => client.raw.ending !== 'open' || client.raw.closed;

async function othersAreServed(t: TestContext, gateway: Gateway): Promise<void> {
  assert.equal((await new Http2Client(t, gateway.port).call({ ':path': '/other' })).status, 200);
}

/** Sends pieces as fast as they are taken, until the session ends. */
async function flood(client: FrameClient, piece: (round: number) => Buffer, rounds: number): Promise<void> {
  for (let round = 0; round < rounds && !ended(client); round++) {
    if (!client.raw.socket.write(piece(round))) {
      await new Promise<void>((resolve) => {
        client.raw.socket.once('drain', resolve);
        client.raw.socket.once('close', resolve);
      });
    }
  }
}

test('ends a session of rapid resets after about a thousand, and asks the Upstream for no more', async (t) => {
  const { client, gateway, upstream } = await setUp(t);
  const block = fieldBlock(GET);
  const cancel = Buffer.from([0, 0, 0, 8]);
  let stream = -1;
  await flood(
    client,
    () =>
      Buffer.concat(
        Array.from({ length: 200 }, () => {
          stream += 2;
          return Buffer.concat([
            frame(Frame.Headers, END_STREAM | END_HEADERS, stream, block),
            frame(Frame.Reset, 0, stream, cancel),
          ]);
        }),
      ),
    500,
  );
  await until('the end of the session', () => ended(client));
  assert.ok(upstream.requests.length <= 2000, `${upstream.requests.length} requests`);
  await othersAreServed(t, gateway);
  await until('no Exchange under way', () => gateway.records.length >= upstream.requests.length);
});

test('refuses the streams beyond a hundred', async (t) => {
  const { client, upstream } = await setUp(t);
  upstream.script = { onRequest: () => new Promise(() => {}) };
  for (let i = 0; i < 150; i++) client.request(i * 2 + 1, GET);
  await until(
    'the refusals',
    () => ended(client) || client.frames.filter(({ type }) => type === Frame.Reset).length === 50,
  );
  assert.ok(upstream.requests.length <= 100);
});

const block = fieldBlock(GET);
const FLOODS: [name: string, begin: Buffer, piece: Buffer][] = [
  [
    'CONTINUATION without end',
    frame(Frame.Headers, END_STREAM, 1, block),
    frame(Frame.Continuation, 0, 1, fieldBlock([['x-a', 'a'.repeat(8000)]])),
  ],
  ['empty CONTINUATION', frame(Frame.Headers, END_STREAM, 1, block), frame(Frame.Continuation, 0, 1)],
  ['SETTINGS', Buffer.alloc(0), frame(Frame.Settings, 0, 0)],
  ['PING', Buffer.alloc(0), frame(Frame.Ping, 0, 0, Buffer.alloc(8))],
];
for (const [name, begin, piece] of FLOODS) {
  test(`ends a session that floods with ${name} and doesn't read`, async (t) => {
    const { client, gateway, upstream } = await setUp(t);
    client.raw.socket.pause();
    client.raw.write(begin);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => piece));
    await flood(client, () => many, 400);
    client.raw.socket.resume();
    await until('the end of the session', () => ended(client));
    assert.equal(upstream.requests.length, 0);
    await othersAreServed(t, gateway);
  });
}

test('refuses a head that is small on the wire and large in memory', async (t) => {
  const { client, gateway, upstream } = await setUp(t);
  // One field into the dynamic table, then named a thousand times by one byte each (HPACK bomb).
  const value = Buffer.alloc(3900, 'a');
  const entry = Buffer.concat([
    Buffer.from([0x40, 1]),
    Buffer.from('x'),
    Buffer.from([127, ((value.length - 127) & 127) | 128, (value.length - 127) >> 7]),
    value,
  ]);
  client.send(
    Frame.Headers,
    END_STREAM | END_HEADERS,
    1,
    Buffer.concat([block, entry, Buffer.alloc(10_000, 0x80 | 62)]),
  );
  await until('a refusal', () => ended(client) || client.find(Frame.Reset, 1) !== undefined);
  assert.equal(upstream.requests.length, 0);
  await othersAreServed(t, gateway);
});
