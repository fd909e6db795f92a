// HTTP/2 from clients: what a request and a response become, what is refused, what an end looks like.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { serve } from '../../src/http2/client-sessions.ts';
import { deadlinesOf } from '../../src/lib/deadlines.ts';
import { reply } from '../../src/plugin/reply.ts';
import { END_HEADERS, END_STREAM, Frame, FrameClient, GET } from '../support/frames.ts';
import { Gateway, type GatewayOptions, plugin, route } from '../support/gateway.ts';
import { answerOf, Http2Client } from '../support/http2-client.ts';
import { converse, OK, RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

async function setUp(t: TestContext, script: UpstreamScript = {}, options: Partial<GatewayOptions> = {}) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port)],
    listener: { http2: true },
    ...options,
  });
  return { upstream, gateway, client: new Http2Client(t, gateway.port) };
}

test('passes a request and its response, and knows it as HTTP/2', async (t) => {
  let version = '';
  const seen = plugin('seen', {
    access: (exchange) => {
      version = `${exchange.request.httpVersion} ${exchange.variable('server_protocol')}`;
    },
  });
  const { client, gateway, upstream } = await setUp(
    t,
    { onRequest: () => 'HTTP/1.1 203 Fine\r\nX-Answer: 1\r\nX-Answer: 2\r\nContent-Length: 2\r\n\r\nok' },
    { plugins: [seen], globalRules: [{ plugins: { seen: {} } }] },
  );
  const answer = await client.call({
    ':path': '/a%2Fb?q=1',
    'x-asked': 'yes',
    ':authority': 'shop.example:81',
  });
  assert.deepEqual(
    [answer.status, answer.body, answer.fields['x-answer'], answer.fields['content-length'], answer.code],
    [203, 'ok', '1, 2', '2', 0],
  );
  assert.equal(answer.fields.server, 'sluice');
  for (const name of ['connection', 'keep-alive', 'transfer-encoding'])
    assert.equal(answer.fields[name], undefined, name);
  const [{ target, fields }] = upstream.requests;
  assert.equal(target, '/a%2Fb?q=1');
  assert.deepEqual(
    ['host', 'x-asked', 'x-forwarded-for', 'x-forwarded-host', 'transfer-encoding'].map((name) =>
      fields.get(name),
    ),
    ['shop.example:81', 'yes', '127.0.0.1', 'shop.example:81', undefined],
  );
  const [record] = await gateway.recorded(1);
  assert.deepEqual(
    [record.status, record.httpVersion, record.clientAddress, record.targetText],
    [203, '2', '127.0.0.1', '/a%2Fb?q=1'],
  );
  assert.equal(version, '2 HTTP/2.0');
});

test('speaks HTTP/1.1 on the same port, also with a method that begins like the preface', async (t) => {
  const { gateway } = await setUp(t);
  const plain = await converse(gateway.port, 'GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.equal(plain.responses()[0].status, 200);
  for (const slice of [1, 3]) {
    const client = await RawClient.connect(gateway.port);
    await client.writeSliced('PROPFIND /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', slice);
    assert.match(await client.finished(), /^HTTP\/1\.1 200 /);
  }
  const upgrade = await converse(
    gateway.port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
  );
  assert.equal(upgrade.responses()[0].status, 200);
});

test('does not speak HTTP/2 where the Listener does not say so', async (t) => {
  const { gateway } = await setUp(t, {}, { listener: {} });
  const client = await converse(gateway.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  assert.match(client.text, /^HTTP\/1\.1 (400|505) /);
});

test('passes bodies with and without a length, and trailers, both ways', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: ({ body }) =>
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nX-Sum: 7\r\n\r\n`,
  });
  const open = await client.call({ ':method': 'POST', ':path': '/' }, 'hello', {
    'x-tail': 't',
    'content-type': 'no',
  });
  assert.deepEqual([open.body, open.trailers?.['x-sum'], open.code], ['hello', '7', 0]);
  const known = await client.call({ ':method': 'POST', ':path': '/', 'content-length': '5' }, 'world');
  assert.equal(known.body, 'world');
  const large = 'x'.repeat(300_000);
  assert.equal((await client.call({ ':method': 'PUT', ':path': '/' }, large)).body, large);
  const [first, second, third] = upstream.requests;
  assert.deepEqual(
    [
      first.fields.get('transfer-encoding'),
      first.trailers,
      second.fields.get('content-length'),
      third.body.length,
    ],
    ['chunked', 'x-tail: t\r\n', '5', 300_000],
  );
  assert.deepEqual(upstream.problems, []);
});

test('joins the pieces of a cookie', async (t) => {
  const { gateway, upstream } = await setUp(t);
  const client = await FrameClient.connect(gateway.port);
  t.after(() => client.raw.destroy());
  client.request(1, [...GET, ['cookie', 'a=1'], ['x-b', '2'], ['cookie', 'c=3; d=4']]);
  await until('the request', () => upstream.requests.length === 1);
  assert.equal(upstream.requests[0].fields.get('cookie'), 'a=1; c=3; d=4');
});

for (const [name, answer, method] of [
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'HEAD'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', 'GET'],
  ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', 'GET'],
  ['an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 'GET'],
  ['no body by its chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'GET'],
] as const) {
  test(`ends the stream of an answer with ${name}`, async (t) => {
    const { client } = await setUp(t, { onRequest: () => answer });
    const { status, body, code } = await client.call({ ':path': '/', ':method': method });
    assert.deepEqual([status, body, code], [Number(answer.slice(9, 12)), '', 0]);
  });
}

test('ends the stream where an Upstream ends the body with its connection', async (t) => {
  const { client } = await setUp(t, {
    onRequest: ({ connection }) => {
      connection.write('HTTP/1.1 200 OK\r\n\r\nabc');
      setTimeout(() => connection.socket.end('def'), 10);
    },
  });
  const { status, body, code } = await client.call({ ':path': '/' });
  assert.deepEqual([status, body, code], [200, 'abcdef', 0]);
});

test('passes interim responses', async (t) => {
  const { client } = await setUp(t, {
    onRequest: () => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n${OK}`,
  });
  const stream = client.session.request({ ':path': '/' });
  const hints: unknown[] = [];
  stream.on('headers', (fields) => hints.push([fields[':status'], fields.link]));
  stream.end();
  assert.equal((await answerOf(stream)).body, 'ok');
  assert.deepEqual(hints, [[103, '</a.css>; rel=preload']]);
});

test('says 100 to who expects it, when the body is wanted', async (t) => {
  const { client } = await setUp(t);
  const stream = client.session.request({ ':path': '/', ':method': 'POST', expect: '100-continue' });
  stream.on('continue', () => stream.end('body'));
  assert.equal((await answerOf(stream)).status, 200);
});

test('serves a hundred streams of one session at once, one slow one among them', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: ({ target }) => (target === '/slow' ? new Promise(() => {}) : OK),
  });
  const slow = client.session.request({ ':path': '/slow' });
  slow.on('error', () => {});
  await until('the slow one', () => upstream.requests.length === 1);
  const answers = await Promise.all(Array.from({ length: 99 }, (_, i) => client.call({ ':path': `/${i}` })));
  assert.ok(answers.every(({ body }) => body === 'ok'));
});

// What is malformed (RFC 9113 8.1.1), as a stream error or an answer of 400; never passed on.
const MALFORMED: [name: string, fields: readonly (readonly [string, string])[]][] = [
  ['a field name in upper case', [...GET, ['X-Upper', '1']]],
  ['Connection', [...GET, ['connection', 'close']]],
  ['Transfer-Encoding', [...GET, ['transfer-encoding', 'chunked']]],
  ['Keep-Alive', [...GET, ['keep-alive', '1']]],
  ['Upgrade', [...GET, ['upgrade', 'websocket']]],
  ['TE other than trailers', [...GET, ['te', 'gzip']]],
  ['two :path', [...GET, [':path', '/b']]],
  ['a pseudo-header field after a usual one', [...GET.slice(0, 3), ['x-a', '1'], [':authority', 'a']]],
  ['an unknown pseudo-header field', [...GET, [':other', '1']]],
  ['no :path', [GET[0], GET[1], GET[3]]],
  ['an empty :path', [GET[0], GET[1], [':path', ''], GET[3]]],
  ['a :path that is a URL', [GET[0], GET[1], [':path', 'http://b/'], GET[3]]],
  ['a space in :path', [GET[0], GET[1], [':path', '/a b'], GET[3]]],
  ['no :scheme', [GET[0], GET[2], GET[3]]],
  ['neither :authority nor Host', GET.slice(0, 3)],
  ['a Host other than :authority', [...GET, ['host', 'b']]],
  ['two Host fields', [...GET.slice(0, 3), ['host', 'a'], ['host', 'a']]],
  ['userinfo in :authority', [...GET.slice(0, 3), [':authority', 'u@a']]],
  ['a length and no body', [...GET, ['content-length', '5']]],
  ['two lengths', [...GET, ['content-length', '0'], ['content-length', '0']]],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
    ],
  ],
  ['a name with _ that others take for a field we act on', [...GET, ['x_forwarded_for', '1']]],
];
for (const [name, fields] of MALFORMED) {
  test(`refuses a request with ${name}`, async (t) => {
    const { gateway, upstream } = await setUp(t);
    const client = await FrameClient.connect(gateway.port);
    t.after(() => client.raw.destroy());
    client.request(1, fields);
    await until(
      'a refusal',
      () =>
        [Frame.Reset, Frame.Headers].some((type) => client.find(type, 1)) ||
        client.find(Frame.Goaway) !== undefined,
    );
    assert.equal(upstream.requests.length, 0);
    if (client.find(Frame.Headers, 1) !== undefined) {
      await gateway.recorded(1);
      assert.ok([400, 405].includes(gateway.records[0].status), String(gateway.records[0].status));
    }
    // The next request on the session is none the worse for it, unless the session was given up.
    if (client.find(Frame.Goaway) === undefined && !client.raw.closed) {
      client.request(3, GET);
      await until(
        'the next answer',
        () => client.find(Frame.Headers, 3) !== undefined || client.raw.ending !== 'open',
      );
    }
  });
}

test('never passes on fields with line ends or NUL in them', async (t) => {
  const { gateway, upstream } = await setUp(t);
  for (const value of ['a\r\nx-evil: 1', 'a\nx-evil: 1', 'a\0b']) {
    const client = await FrameClient.connect(gateway.port);
    client.request(1, [...GET, ['x-a', value]]);
    await until('an end', () => [Frame.Reset, Frame.Headers].some((type) => client.find(type, 1)));
    client.raw.destroy();
  }
  assert.ok(upstream.requests.every(({ fields }) => !fields.has('x-evil') && !fields.has('x-a')));
});

test('resets a request whose body is longer than its length, and does not pass it as complete', async (t) => {
  const { gateway, upstream } = await setUp(t);
  const client = await FrameClient.connect(gateway.port);
  t.after(() => client.raw.destroy());
  client.request(1, [[':method', 'POST'], ...GET.slice(1), ['content-length', '3']], END_HEADERS);
  client.send(Frame.Data, END_STREAM, 1, 'abcd');
  await until(
    'a refusal',
    () => client.find(Frame.Reset, 1) !== undefined || client.find(Frame.Goaway) !== undefined,
  );
  assert.equal(upstream.requests.length, 0);
});

for (const code of [0, 8]) {
  test(`does not take a request for complete that the client resets with code ${code}`, async (t) => {
    const { gateway, upstream } = await setUp(t);
    const client = await FrameClient.connect(gateway.port);
    t.after(() => client.raw.destroy());
    client.request(1, [[':method', 'POST'], ...GET.slice(1)], END_HEADERS);
    client.send(Frame.Data, 0, 1, 'abc');
    await until('the beginning', () => upstream.connections[0]?.text.includes('abc') === true);
    client.send(Frame.Reset, 0, 1, Buffer.from([0, 0, 0, code]));
    await until('the end at the Upstream', () => upstream.connections[0].ending !== 'open');
    assert.equal(upstream.requests.length, 0);
    const [record] = await gateway.recorded(1);
    assert.deepEqual([record.status, record.reason], [499, 'client_abort']);
  });
}

for (const [framing, head] of [
  ['a length', 'Content-Length: 10'],
  ['chunks', 'Transfer-Encoding: chunked'],
]) {
  test(`resets with INTERNAL_ERROR when the Upstream dies in a body with ${framing}`, async (t) => {
    const { client, gateway } = await setUp(t, {
      onRequest: ({ connection }) => {
        connection.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
        connection.write(framing === 'chunks' ? '3\r\nabc\r\n' : 'abc');
        setTimeout(() => connection.reset(), 20);
      },
    });
    const { status, body, code } = await client.call({ ':path': '/' });
    assert.deepEqual([status, body, code], [200, 'abc', http2.constants.NGHTTP2_INTERNAL_ERROR]);
    const [record] = await gateway.recorded(1);
    assert.match(record.reason, /^upstream_/);
  });
}

test('answers before the request is complete and tells the client to stop', async (t) => {
  const deny = plugin('deny', { access: () => reply(403) });
  const { client, upstream } = await setUp(
    t,
    {},
    { plugins: [deny], globalRules: [{ plugins: { deny: {} } }] },
  );
  const stream = client.session.request({ ':path': '/', ':method': 'POST' });
  const piece = Buffer.alloc(16_384);
  const more = () => {
    while (!stream.destroyed && !stream.closed && stream.write(piece));
  };
  stream.on('drain', more);
  more();
  const { status, code } = await answerOf(stream);
  assert.deepEqual([status, code], [403, 0]);
  assert.equal(upstream.requests.length, 0);
  assert.equal((await client.call({ ':path': '/' })).status, 403);
});

test('answers 431 to a head that is too large, 413 to a body that is', async (t) => {
  const { client } = await setUp(
    t,
    {},
    { limits: { maxHeadBytes: 4096, maxBodyBytes: 1000, maxFields: 20 } },
  );
  assert.equal((await client.call({ ':path': '/', 'x-a': 'a'.repeat(5000) })).status, 431);
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, '1']));
  assert.equal((await client.call({ ':path': '/', ...many })).status, 431);
  assert.equal((await client.call({ ':path': '/', ':method': 'POST' }, 'x'.repeat(2000))).status, 413);
  assert.equal((await client.call({ ':path': '/' })).status, 200);
});

test('holds the Upstream back for a client that does not read, and no other stream for it', async (t) => {
  let sent = 0;
  const { client } = await setUp(t, {
    onRequest: ({ target, connection }) => {
      if (target !== '/large') return OK;
      const { socket } = connection;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`);
      const more = () => {
        while (sent < 64) {
          sent++;
          if (!socket.write(Buffer.alloc(1024 * 1024))) return void socket.once('drain', more);
        }
      };
      more();
      return undefined;
    },
  });
  const stream = client.session.request({ ':path': '/large' });
  stream.on('error', () => {});
  stream.pause();
  await new Promise((resolve) => stream.once('response', resolve));
  for (let last = -1; last !== sent; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.ok(sent < 24, `${sent} MB were taken`);
  assert.equal((await client.call({ ':path': '/' })).body, 'ok');
  stream.resume();
  await until('the rest', () => sent === 64);
});

test('holds the client back for an Upstream that does not read', async (t) => {
  const { client, upstream } = await setUp(t, { onConnection: ({ socket }) => socket.pause() });
  const stream = client.session.request({ ':path': '/', ':method': 'POST' });
  stream.on('error', () => {});
  let sent = 0;
  const piece = Buffer.alloc(64 * 1024);
  const more = () => {
    while (sent < 512) {
      sent++;
      if (!stream.write(piece)) return void stream.once('drain', more);
    }
  };
  more();
  for (let last = -1; last !== sent; ) {
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  assert.ok(sent < 256, `${sent} pieces were taken`);
  upstream.connections[0].socket.resume();
  stream.on('drain', () => stream.end());
  await until('all of it', () => upstream.connections[0].length > 60 * 64 * 1024);
});

test('says GOAWAY when it drains, and lets streams under way end', async (t) => {
  let answer: ((bytes: string) => void) | undefined;
  const { client, gateway, upstream } = await setUp(t, {
    onRequest: () => new Promise<string>((resolve) => (answer = resolve)),
  });
  const under = client.call({ ':path': '/' });
  await until('the request', () => upstream.requests.length === 1);
  let away = false;
  client.session.on('goaway', (code) => (away = code === 0));
  const drained = gateway.dataPlane.drain(5_000);
  await until('GOAWAY', () => away);
  answer!(OK);
  assert.deepEqual([(await under).status, (await under).code], [200, 0]);
  await drained;
  assert.equal(gateway.dataPlane.connectionCount, 0);
});

test('ends a session after the number of requests that a connection may make, without losing one', async (t) => {
  const { gateway, client } = await setUp(t, {}, { limits: { maxRequests: 3 } });
  let away = false;
  client.session.on('goaway', () => (away = true));
  const answers = await Promise.all([1, 2, 3].map(() => client.call({ ':path': '/' })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  await until('the end of the session', () => away && gateway.dataPlane.connectionCount === 0);
});

test('counts connections, not streams', async (t) => {
  const { gateway, client, upstream } = await setUp(t, { onRequest: () => new Promise(() => {}) });
  for (let i = 0; i < 5; i++) client.session.request({ ':path': '/' }).on('error', () => {});
  await until('the requests', () => upstream.requests.length === 5);
  assert.equal(gateway.dataPlane.connectionCount, 1);
  client.session.destroy();
  await until('no connection', () => gateway.dataPlane.connectionCount === 0);
  assert.equal((await gateway.recorded(5)).length, 5);
});

test('closes sessions that are idle, that never begin, and that stop in the middle of the preface', async (t) => {
  const soon = deadlinesOf(100);
  const { gateway, client } = await setUp(t, {}, { limits: { idle: soon, head: soon } });
  await client.call({ ':path': '/' });
  const silent = await RawClient.connect(gateway.port);
  const half = await RawClient.connect(gateway.port);
  half.write('PRI * HT');
  const bare = await RawClient.connect(gateway.port);
  bare.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  await until('no connection', () => gateway.dataPlane.connectionCount === 0);
  await Promise.all([silent, half, bare].map((raw) => raw.finished()));
});

test('resets a stream whose body stops coming', async (t) => {
  const { gateway } = await setUp(t, {}, { limits: { body: deadlinesOf(100) } });
  const client = new Http2Client(t, gateway.port);
  const stream = client.session.request({ ':path': '/', ':method': 'POST' });
  stream.write('some');
  const { status } = await answerOf(stream);
  assert.equal(status, 408);
  assert.equal((await client.call({ ':path': '/' })).status, 200);
});

test('serves a socket of TLS on which ALPN has chosen HTTP/2', async (t) => {
  const { gateway } = await setUp(t);
  const file = (name: string) => readFileSync(new URL(`../support/certificates/${name}`, import.meta.url));
  const server = tls.createServer(
    { key: file('server.key'), cert: file('server.crt'), ALPNProtocols: ['h2', 'http/1.1'] },
    (socket) => serve(gateway.dataPlane, socket),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = new Http2Client(t, port, { tls: true, rejectUnauthorized: false });
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      client.call({ ':path': `/${i}`, ':method': 'POST' }, 'x'.repeat(50_000)),
    ),
  );
  assert.ok(answers.every(({ status, code }) => status === 200 && code === 0));
  assert.equal((await gateway.recorded(20))[0].clientAddress, '127.0.0.1');
});

test('frames a body by its length also where another field names the framing', async (t) => {
  const { client, upstream } = await setUp(t);
  const fields = {
    ':method': 'POST',
    ':path': '/',
    'content-length': '5',
    'x-a': 'Transfer-Encoding: chunked',
  };
  assert.equal((await client.call(fields, 'world')).status, 200);
  assert.equal(upstream.requests[0].body, 'world');
});

test('passes fields named like the properties of all objects', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: () =>
      'HTTP/1.1 200 OK\r\nconstructor: x\r\n__proto__: y\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nconstructor: z\r\n\r\n',
  });
  const { fields, trailers } = await client.call({ ':path': '/', constructor: 'a' });
  assert.equal(upstream.requests[0].fields.get('constructor'), 'a');
  assert.deepEqual([fields.constructor, trailers?.constructor], ['x', 'z']);
  assert.equal(Object.getOwnPropertyDescriptor(fields, '__proto__')?.value, 'y');
});

test('keeps the last byte of a value, whatever JavaScript takes for white space', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: () =>
      'HTTP/1.1 200 OK\r\nX-Word: voil\xc3\xa0 \t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Tail: l\xc3\xa0\r\n\r\n',
  });
  const { fields, trailers } = await client.call({ ':path': '/', 'x-word': 'voil\xc3\xa0' });
  assert.equal(upstream.requests[0].fields.get('x-word'), 'voil\xc3\xa0');
  assert.deepEqual([fields['x-word'], trailers?.['x-tail']], ['voil\xc3\xa0', 'l\xc3\xa0']);
});

test('forgets a stream whose client resets it without an error while its body waits', async (t) => {
  const decision = Promise.withResolvers<undefined>();
  const waiting = plugin('waiting', { access: () => decision.promise });
  const { gateway, client } = await setUp(
    t,
    {},
    { plugins: [waiting], globalRules: [{ plugins: { waiting: {} } }] },
  );
  const streams: http2.ServerHttp2Stream[] = [];
  const handshake = http2.performServerHandshake;
  t.mock.method(http2, 'performServerHandshake', ((...args: Parameters<typeof handshake>) => {
    const session = handshake(...args);
    session.on('stream', (stream) => streams.push(stream));
    return session;
  }) as typeof handshake);
  const stream = client.session.request({ ':method': 'POST', ':path': '/' });
  stream.on('error', () => {});
  await new Promise((resolve) => stream.write('x'.repeat(60_000), resolve));
  stream.close(http2.constants.NGHTTP2_NO_ERROR);
  await until('the end of the stream', () => streams[0]?.destroyed);
  decision.resolve(undefined);
  await gateway.recorded(1);
});
