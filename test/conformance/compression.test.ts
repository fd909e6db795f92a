// gzip, brotli and zstd on the wire: which of them a client gets, when, and in what frame.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import zlib from 'node:zlib';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Value } from '../../src/model/resource.ts';
import type { Plugin } from '../../src/plugin/define-plugin.ts';
import { brotli } from '../../src/plugins/brotli/brotli.ts';
import { gzip } from '../../src/plugins/gzip/gzip.ts';
import { responseRewrite } from '../../src/plugins/response-rewrite/response-rewrite.ts';
import { zstd } from '../../src/plugins/zstd/zstd.ts';
import { Gateway, route } from '../support/gateway.ts';
import { RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const PLUGINS: readonly Plugin[] = [brotli, gzip, zstd, responseRewrite];
const DECODE: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  br: zlib.brotliDecompressSync,
  gzip: zlib.gunzipSync,
  zstd: zlib.zstdDecompressSync,
};
const ALL = { gzip: { types: '*' }, brotli: { types: '*' }, zstd: { types: '*' } };

async function setUp(t: TestContext, script: UpstreamScript, configs: Readonly<Record<string, Value>>) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const plugins: Record<string, Value> = {};
  for (const plugin of PLUGINS) {
    const config = configs[plugin.name];
    if (config !== undefined) plugins[plugin.name] = withDefaults(plugin.config, config) as Value;
  }
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port, { plugins })],
    plugins: PLUGINS,
    maxCollectedBytes: 1 << 24,
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, client, gateway };
}

const answer = (body: string, fields = ''): UpstreamScript => ({
  onRequest: () =>
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`,
});
const ask = (accept: string, method = 'GET') =>
  `${method} / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: ${accept}\r\n\r\n`;
const TEXT = 'all work and no play makes jack a dull boy. '.repeat(100);

async function response(client: RawClient) {
  await until('a response', () => client.responses()[0]?.complete === true);
  return client.responses()[0];
}

for (const [accept, coding] of [
  ['gzip, zstd, br', 'br'],
  ['gzip, zstd', 'zstd'],
  ['gzip', 'gzip'],
  ['br;q=0.5, gzip;q=0.8, zstd;q=0.6', 'gzip'],
  ['br;q=0.5, gzip;q=0.5, zstd;q=0.5', 'br'],
  ['*', 'br'],
  ['br;q=0, *;q=0.1', 'zstd'],
] as const) {
  test(`answers ${accept} with ${coding} where all are bound`, async (t) => {
    const { client } = await setUp(t, answer(TEXT, 'ETag: "1"\r\n'), ALL);
    client.write(ask(accept));
    const { fields, body } = await response(client);
    assert.equal(fields.get('content-encoding'), coding);
    assert.equal(fields.get('content-length'), undefined);
    assert.equal(fields.get('vary'), 'Accept-Encoding');
    assert.equal(fields.get('etag'), 'W/"1"');
    assert.equal(DECODE[coding](Buffer.from(body, 'latin1')).toString(), TEXT);
  });
}

test('says the same to HEAD as to GET', async (t) => {
  const { client } = await setUp(
    t,
    {
      onRequest: ({ method }) =>
        `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400\r\n\r\n${method === 'HEAD' ? '' : 'x'.repeat(400)}`,
    },
    ALL,
  );
  client.write(ask('gzip', 'HEAD') + ask('gzip'));
  await until('both', () => client.responses(['HEAD'])[1]?.complete === true);
  const [head, get] = client.responses(['HEAD']).map(({ fields }) => fields);
  for (const name of ['content-encoding', 'vary', 'content-length', 'content-type']) {
    assert.equal(head.get(name), get.get(name), name);
  }
  assert.equal(head.get('content-encoding'), 'gzip');
});

for (const [name, coding] of [
  ['gzip', 'gzip'],
  ['brotli', 'br'],
  ['zstd', 'zstd'],
] as const) {
  test(`gives out each event at once with ${name}`, async (t) => {
    let event: ((text: string) => void) | undefined;
    const { client } = await setUp(
      t,
      {
        onRequest({ connection }) {
          connection.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n');
          event = (text) => connection.write(text);
        },
      },
      { [name]: { types: ['text/event-stream'] } },
    );
    client.write(ask(coding));
    await client.has('\r\n\r\n');
    // What has come so far, without an end.
    const soFar = (): string => {
      const [{ head }] = client.responses();
      const pieces: Buffer[] = [];
      let rest = client.received.subarray(head.length + 4);
      for (let end = rest.indexOf('\r\n'); end > 0; end = rest.indexOf('\r\n')) {
        const size = Number.parseInt(rest.latin1Slice(0, end), 16);
        if (rest.length < end + 2 + size + 2) break;
        pieces.push(rest.subarray(end + 2, end + 2 + size));
        rest = rest.subarray(end + 4 + size);
      }
      const bytes = Buffer.concat(pieces);
      if (bytes.length === 0) return '';
      const { constants } = zlib;
      if (coding === 'gzip')
        return zlib.gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString();
      if (coding === 'br')
        return zlib.brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH }).toString();
      return zlib.zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_continue }).toString();
    };
    let sent = '';
    for (const text of ['data: one\n\n', 'data: two\n\n', 'data: three\n\n']) {
      event?.(text);
      sent += text;
      await until(`it has ${JSON.stringify(text)}`, () => soFar() === sent);
    }
  });
}

test('holds an Upstream back for a client that does not read, and loses nothing', async (t) => {
  const piece = Buffer.alloc(64 * 1024);
  // Random, so that the compressed body is as large.
  let state = 1;
  for (let i = 0; i < piece.length; i++) piece[i] = (state = Math.imul(state, 48271) % 0x7fffffff) & 255;
  const total = 400;
  let socket: import('node:net').Socket | undefined;
  const { client } = await setUp(
    t,
    {
      onRequest({ connection }) {
        socket = connection.socket;
        connection.write(
          `HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: ${total * piece.length}\r\n\r\n`,
        );
        for (let i = 0; i < total; i++) socket.write(piece);
      },
    },
    { gzip: { types: '*' } },
  );
  client.socket.pause();
  client.write(ask('gzip'));
  let last = -1;
  await until('the Upstream is held back', () => {
    const stands = socket !== undefined && socket.writableLength > 0 && socket.writableLength === last;
    last = socket?.writableLength ?? -1;
    return stands;
  });
  client.socket.resume();
  await until('all is there', () => client.text.endsWith('0\r\n\r\n'), 15_000);
  const { body } = client.responses()[0];
  const plain = zlib.gunzipSync(Buffer.from(body, 'latin1'));
  assert.equal(plain.length, total * piece.length);
  assert.ok(plain.subarray(-piece.length).equals(piece));
});

test('aborts the compressed answer when the Upstream dies in the middle', async (t) => {
  const { client } = await setUp(
    t,
    {
      onRequest({ connection }) {
        connection.write(
          `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5000\r\n\r\n${TEXT.slice(0, 100)}`,
        );
        setTimeout(() => connection.reset(), 20);
      },
    },
    ALL,
  );
  client.write(ask('gzip'));
  await until('the end', () => client.ending !== 'open' || client.closed);
  assert.ok(client.responses().every(({ complete }) => !complete));
});

test('compresses what another Plugin has made of the body', async (t) => {
  const { client } = await setUp(t, answer(TEXT), {
    gzip: { types: '*' },
    'response-rewrite': { filters: [{ regex: 'jack', scope: 'global', replace: 'jill', options: 'jo' }] },
  });
  client.write(ask('gzip'));
  const { body } = await response(client);
  assert.equal(zlib.gunzipSync(Buffer.from(body, 'latin1')).toString(), TEXT.replaceAll('jack', 'jill'));
});
