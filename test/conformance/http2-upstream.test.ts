// HTTP/2 to Targets: what goes out, what comes back, sessions, refusals and ends.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2, { type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import type { Value } from '../../src/model/resource.ts';
import { freePort } from '../support/free-port.ts';
import { Gateway, type GatewayOptions, plugin, route } from '../support/gateway.ts';
import { converse, RawClient, RawUpstream, until } from '../support/raw.ts';

type OnStream = (stream: ServerHttp2Stream, fields: http2.IncomingHttpHeaders, session: number) => void;

const OK: OnStream = (stream) => {
  stream.respond({ ':status': 200, 'content-length': 2 });
  stream.end('ok');
};

const certificate = (name: string) =>
  readFileSync(new URL(`../support/certificates/${name}`, import.meta.url));

async function setUp(
  t: TestContext,
  onStream: OnStream = OK,
  {
    settings = {},
    upstream = {},
    tls: secure = false,
    ...options
  }: Partial<GatewayOptions> & {
    settings?: http2.Settings;
    upstream?: Value;
    tls?: boolean;
  } = {},
) {
  const sessions: ServerHttp2Session[] = [];
  const server: Http2Server = secure
    ? http2.createSecureServer({
        key: certificate('server.key'),
        cert: certificate('server.crt'),
        settings,
      })
    : http2.createServer({ settings });
  server.on('session', (session) => {
    const number = sessions.push(session);
    session.on('error', () => {});
    session.on('stream', (stream, fields) => {
      stream.on('error', () => {});
      onStream(stream, fields, number);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await Gateway.start(t, {
    routes: [route('all', port, { upstream: { scheme: secure ? 'grpcs' : 'grpc', ...upstream } })],
    ...options,
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { gateway, client, sessions, port };
}

const get = (target = '/', ...fields: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: shop.example', ...fields, '', ''].join('\r\n');

test('sends a request as HTTP/2 has it, without what belongs to a connection', async (t) => {
  let seen: http2.IncomingHttpHeaders = {};
  const { client, gateway } = await setUp(t, (stream, fields, session) => {
    seen = fields;
    OK(stream, fields, session);
  });
  client.write(
    get('/a%2Fb?q=1', 'X-Asked: Yes', 'Connection: x-mine', 'X-Mine: 1', 'TE: gzip', 'Cookie: a=1'),
  );
  await client.has('ok');
  assert.deepEqual(
    [
      ':method',
      ':path',
      ':authority',
      ':scheme',
      'x-asked',
      'cookie',
      'x-mine',
      'te',
      'connection',
      'host',
    ].map((name) => seen[name]),
    ['GET', '/a%2Fb?q=1', 'shop.example', 'http', 'Yes', 'a=1', undefined, undefined, undefined, undefined],
  );
  assert.equal(seen['x-forwarded-for'], '127.0.0.1');
  const [{ status, fields }] = client.responses();
  assert.deepEqual([status, fields.get('content-length')], [200, '2']);
  assert.equal((await gateway.recorded(1))[0].upstreamStatus, 200);
});

test('passes bodies and trailers both ways', async (t) => {
  const trailers: unknown[] = [];
  const { client } = await setUp(t, (stream) => {
    stream.on('trailers', (fields) => trailers.push(fields['x-tail']));
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
    stream.pipe(stream);
  });
  client.write(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Tail: t\r\n\r\n',
  );
  await client.has('x-sum: 7\r\n\r\n');
  assert.equal(client.responses()[0].body, 'abcdefg');
  assert.deepEqual(trailers, ['t']);
  const before = client.length;
  const large = 'x'.repeat(400_000);
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${large.length}\r\n\r\n${large}`);
  await until('the echo', () => client.length > before && client.text.endsWith('x-sum: 7\r\n\r\n'));
  assert.equal(client.responses()[1].body, large);
});

for (const [name, method, respond, expected] of [
  [
    'HEAD',
    'HEAD',
    (s) => s.respond({ ':status': 200, 'content-length': 7 }, { endStream: true }),
    'content-length',
  ],
  ['204', 'GET', (s) => s.respond({ ':status': 204 }, { endStream: true }), undefined],
  ['no body', 'GET', (s) => s.respond({ ':status': 200 }, { endStream: true }), 'content-length'],
  ['an empty body', 'GET', (s) => void s.end(s.respond({ ':status': 200 })), 'transfer-encoding'],
] as [string, string, (stream: ServerHttp2Stream) => void, string | undefined][]) {
  test(`frames a response with ${name}`, async (t) => {
    const { client } = await setUp(t, respond);
    for (let i = 0; i < 2; i++) {
      client.write(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.has((text) => client.responses([method, method])[i]?.complete === true && text !== '');
    }
    const [{ fields, body }] = client.responses([method, method]);
    assert.equal(body, '');
    if (expected !== undefined) assert.ok(fields.has(expected));
  });
}

test('keeps the trailers of a gRPC response that has a length', async (t) => {
  const { client } = await setUp(t, (stream) => {
    const fields = { ':status': 200, 'content-type': 'application/grpc', 'content-length': 3 };
    stream.respond(fields, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5' }));
    stream.end('abc');
  });
  client.write(get());
  await client.has('grpc-status: 5\r\n\r\n');
  assert.equal(client.responses()[0].body, 'abc');
});

test('passes interim responses', async (t) => {
  const { client } = await setUp(t, (stream, fields, session) => {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>' });
    OK(stream, fields, session);
  });
  client.write(get());
  assert.match(await client.has('ok'), /^HTTP\/1\.1 103 [\s\S]*link: <\/a\.css>[\s\S]*HTTP\/1\.1 200 /);
});

test('puts many requests on one session, and no more than the Target allows', async (t) => {
  let open = 0;
  let most = 0;
  const waiting: (() => void)[] = [];
  const { gateway, sessions } = await setUp(
    t,
    (stream, fields, session) => {
      most = Math.max(most, ++open);
      waiting.push(() => {
        open--;
        OK(stream, fields, session);
      });
    },
    { settings: { maxConcurrentStreams: 4 } },
  );
  const first = converse(gateway.port, get('/', 'Connection: close'));
  await until('the first', () => waiting.length === 1);
  waiting.pop()!();
  await first;
  const others = Array.from({ length: 10 }, () => converse(gateway.port, get('/', 'Connection: close')));
  await until('all of them', () => waiting.length === 10);
  for (const answer of waiting) answer();
  assert.ok((await Promise.all(others)).every(({ text }) => text.endsWith('ok')));
  assert.ok(sessions.length >= 3 && sessions.length < 10, `${sessions.length} sessions`);
});

test('opens a new session after GOAWAY and loses no request over it', async (t) => {
  const { client, sessions, gateway } = await setUp(t, (stream, fields, session) => {
    OK(stream, fields, session);
    stream.session?.close();
  });
  for (let i = 0; i < 5; i++) {
    client.write(get());
    await client.has((text) => text.split('HTTP/1.1 200').length === i + 2 && text.endsWith('ok'));
  }
  assert.ok(sessions.length >= 2);
  assert.ok((await gateway.recorded(5)).every(({ attempts }) => attempts === 1));
});

for (const method of ['GET', 'POST']) {
  test(`sends a ${method} again that the Target has refused, body and all`, async (t) => {
    let refused = 0;
    const bodies: string[] = [];
    const { client, gateway } = await setUp(t, (stream, fields, session) => {
      if (refused++ < 2) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      let body = '';
      stream.on('data', (piece) => (body += piece));
      stream.on('end', () => {
        bodies.push(body);
        OK(stream, fields, session);
      });
    });
    const body = method === 'GET' ? '' : 'x'.repeat(20_000);
    client.write(`${method} / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await client.has('ok');
    assert.deepEqual([refused, bodies], [3, [body]]);
    assert.equal((await gateway.recorded(1))[0].attempts, 1);
  });
}

test('gives up on a Target that refuses again and again', async (t) => {
  let refused = 0;
  const { client, gateway } = await setUp(t, (stream) => {
    refused++;
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  await client.has('HTTP/1.1 502');
  assert.equal(refused, 4);
  assert.equal((await gateway.recorded(1))[0].reason, 'upstream_reset');
});

for (const [name, code] of [
  ['no error', 0],
  ['INTERNAL_ERROR', 2],
  ['CANCEL', 8],
] as const) {
  test(`does not take a response for complete that the Target resets with ${name}`, async (t) => {
    const upstream = await FrameUpstream.start(t, code);
    const gateway = await Gateway.start(t, {
      routes: [route('all', upstream.port, { upstream: { scheme: 'grpc' } })],
    });
    const client = await converse(gateway.port, get());
    assert.equal(client.ending, 'reset');
    assert.equal(client.responses()[0]?.complete ?? false, false);
    const [record] = await gateway.recorded(1);
    assert.match(record.reason, /^upstream_(closed|reset)$/);
  });
}

test('cancels the stream of a client that left, without ending its request', async (t) => {
  let code = -1;
  let ended = false;
  const { client, gateway } = await setUp(t, (stream) => {
    stream.on('data', () => client.reset());
    stream.on('end', () => (ended = !stream.aborted));
    stream.on('close', () => (code = stream.rstCode));
  });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  await until('the reset', () => code >= 0);
  assert.deepEqual([code, ended], [http2.constants.NGHTTP2_CANCEL, false]);
  assert.equal((await gateway.recorded(1))[0].reason, 'client_abort');
});

test('says what failed: no connection, no HTTP/2, silence, death', async (t) => {
  const dead = await freePort();
  const old = await RawUpstream.start();
  t.after(() => old.close());
  const mute = await RawUpstream.start({ onConnection: ({ socket }) => socket.pause() });
  t.after(() => mute.close());
  const timeout = { connect: 0.2, send: 0.2, read: 0.2 };
  const gateway = await Gateway.start(t, {
    routes: [
      route('dead', dead, { upstream: { scheme: 'grpc' } }),
      route('old', old.port, { upstream: { scheme: 'grpc' } }),
      route('mute', mute.port, { upstream: { scheme: 'grpc', timeout } }),
    ],
  });
  for (const [id, status, reason] of [
    ['dead', 502, /^connect_failed$/],
    ['old', 502, /^upstream_(reset|closed)$/],
    ['mute', 504, /^read_timeout$/],
  ] as const) {
    const client = await converse(gateway.port, get(`/${id}/`, 'Connection: close'));
    assert.equal(client.responses()[0].status, status, id);
    assert.match(gateway.records.at(-1)!.reason, reason, id);
  }
});

test('speaks TLS with ALPN and verifies, and takes no Target that does not speak HTTP/2', async (t) => {
  const { client, gateway } = await setUp(t, OK, {
    tls: true,
    upstream: { tls: { verify: false } },
  });
  client.write(get());
  await client.has('ok');
  const strict = await setUp(t, OK, { tls: true });
  strict.client.write(get());
  await strict.client.has('HTTP/1.1 502');
  assert.match((await strict.gateway.recorded(1))[0].reason, /^tls_failed: DEPTH_ZERO_SELF_SIGNED_CERT$/);
  const old = tls.createServer(
    { key: certificate('server.key'), cert: certificate('server.crt'), ALPNProtocols: ['http/1.1'] },
    (socket) => socket.on('error', () => {}),
  );
  await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
  t.after(() => old.close());
  const other = await Gateway.start(t, {
    routes: [
      route('all', (old.address() as AddressInfo).port, {
        upstream: { scheme: 'grpcs', tls: { verify: false } },
      }),
    ],
  });
  const refused = await converse(other.port, get('/', 'Connection: close'));
  assert.equal(refused.responses()[0].status, 502);
  assert.match(other.records[0].reason, /^tls_failed: ERR_SSL_/);
  assert.equal(gateway.records.length, 1);
});

test('closes sessions that are idle, and those that have had their number of requests', async (t) => {
  const { client, sessions } = await setUp(t, OK, {
    upstream: { keepalive_pool: { size: 1, idle_timeout: 0.1, requests: 2 } },
  });
  for (let i = 0; i < 5; i++) {
    client.write(get());
    await client.has((text) => text.split('HTTP/1.1 200').length === i + 2 && text.endsWith('ok'));
  }
  assert.equal(sessions.length, 3);
  await until('the end of the sessions', () => sessions.every((session) => session.destroyed));
});

test('holds a slow client back, not the other requests of its session', async (t) => {
  let sent = 0;
  const { client, gateway, sessions } = await setUp(t, (stream, fields, session) => {
    if (fields[':path'] !== '/large') return OK(stream, fields, session);
    stream.respond({ ':status': 200, 'content-length': 64 * 1024 * 1024 });
    const more = () => {
      while (sent < 1024) {
        sent++;
        if (!stream.write(Buffer.alloc(64 * 1024))) return void stream.once('drain', more);
      }
      stream.end();
    };
    more();
  });
  client.socket.pause();
  client.write(get('/large'));
  for (let last = -1; last !== sent || sent === 0; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.ok(sent < 512, `${sent} pieces were taken`);
  const other = await converse(gateway.port, get('/', 'Connection: close'));
  assert.ok(other.text.endsWith('ok'));
  assert.equal(sessions.length, 1);
  client.socket.resume();
  await until('all of it', () => client.length > 64 * 1024 * 1024, 10_000);
});

test('lets what Plugins do to a request and a response be as with HTTP/1.1', async (t) => {
  const edit = plugin('edit', {
    access: (exchange) => {
      exchange.request.setHeader('Connection', 'close');
      exchange.request.setHeader('X-Set', '1');
      exchange.upstream.path = '/other';
    },
    responseHeaders: ({ response }) => response.setHeader('X-Back', '2'),
  });
  let seen: http2.IncomingHttpHeaders = {};
  const { client } = await setUp(
    t,
    (stream, fields, session) => {
      seen = fields;
      OK(stream, fields, session);
    },
    { plugins: [edit], globalRules: [{ plugins: { edit: {} } }] },
  );
  client.write(get());
  await client.has('ok');
  assert.deepEqual([seen[':path'], seen['x-set'], seen.connection], ['/other', '1', undefined]);
  assert.equal(client.responses()[0].fields.get('x-back'), '2');
});

/** An Upstream that answers the first stream with half a response and a reset. */
class FrameUpstream {
  readonly #server: net.Server;

  private constructor(server: net.Server) {
    this.#server = server;
  }

  static async start(t: TestContext, code: number): Promise<FrameUpstream> {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      t.after(() => socket.destroy());
      let answered = false;
      let all = Buffer.alloc(0);
      socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      socket.on('data', (bytes: Buffer) => {
        all = Buffer.concat([all, bytes]);
        if (answered || !hasHeaders(all.subarray(24))) return;
        answered = true;
        const head = Buffer.from([0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88]); // :status 200
        const data = Buffer.from([0, 0, 3, 0, 0, 0, 0, 0, 1, 97, 98, 99]);
        const reset = Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, code]);
        socket.write(Buffer.concat([head, data]));
        setTimeout(() => socket.write(reset), 20);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    return new FrameUpstream(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
}

/** Whether a HEADERS frame is among these. */
function hasHeaders(frames: Buffer): boolean {
  for (let at = 0; at + 9 <= frames.length; at += 9 + frames.readUIntBE(at, 3))
    if (frames[at + 3] === 1) return true;
  return false;
}

test('opens no session for a Target that resets streams, and asks it once for each attempt', async (t) => {
  let asked = 0;
  const { gateway, sessions } = await setUp(
    t,
    (stream) => {
      asked++;
      stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    },
    { upstream: { retries: 0 } },
  );
  for (let count = 1; count <= 5; count++) {
    const talk = await converse(gateway.port, get('/', 'Connection: close'));
    assert.equal(talk.responses()[0].status, 502);
    assert.equal(asked, count);
  }
  assert.equal(sessions.length, 1);
});

test('bears a Target that ends its session as it begins', async (t) => {
  const { gateway } = await setUp(t, OK, { upstream: { retries: 0 } });
  const session = http2.connect.bind(http2);
  const destroyed: unknown[] = [];
  t.mock.method(http2, 'connect', ((...args: Parameters<typeof http2.connect>) => {
    const made = session(...args);
    // As when it is closed between the event's cause and the event.
    made.prependOnceListener('connect', () => destroyed.push(made.destroy()));
    return made;
  }) as typeof http2.connect);
  const talk = await converse(gateway.port, get('/', 'Connection: close'));
  assert.equal(destroyed.length, 1);
  assert.equal(talk.responses()[0].status, 502);
});
