// What Plugins may do to an Exchange, and what must not come of it: edits, replies, bodies held
// whole, handlers that wait, handlers that throw, clients that leave meanwhile.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Handlers, Plugin } from '../../src/plugin/define-plugin.ts';
import { reply } from '../../src/plugin/reply.ts';
import { Gateway, type GatewayOptions, plugin, route } from '../support/gateway.ts';
import { OK, RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const get = (target = '/', ...fields: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');
const post = (body: string) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const pause = (milliseconds = 5) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

async function setUp(
  t: TestContext,
  handlers: Handlers,
  script: UpstreamScript = {},
  needsBody?: 'request' | 'response' | 'both',
  options: Partial<GatewayOptions> = {},
) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const plugins: Plugin[] = [plugin('probe', handlers, needsBody && { needsBody: () => needsBody })];
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port, { plugins: { probe: {} } })],
    plugins,
    ...options,
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, gateway, client };
}

test('changes what goes to the Upstream as handlers say, each field once', async (t) => {
  const { client, upstream } = await setUp(t, {
    access(exchange) {
      exchange.request.setHeader('X-A', 'new');
      exchange.request.removeHeader('x-b');
      exchange.request.addHeader('X-C', '2');
      for (const name of [
        'Host',
        'X-Real-IP',
        'X-Forwarded-For',
        'X-Forwarded-Proto',
        'X-Forwarded-Host',
        'X-Forwarded-Port',
      ])
        exchange.request.setHeader(name, 'p.example');
      for (const name of [
        'Content-Length',
        'Transfer-Encoding',
        'Connection',
        'Keep-Alive',
        'Expect',
        'Upgrade',
      ])
        exchange.request.setHeader(name, '7');
      exchange.upstream.method = 'PUT';
      exchange.upstream.path = '/new path';
      exchange.upstream.query = 'q=ä b';
    },
  });
  client.write(
    'POST /old?x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\nContent-Length: 3\r\n\r\nabc',
  );
  await client.has('ok');
  const [{ method, target, fields, body }] = upstream.requests;
  assert.deepEqual([method, target, body], ['PUT', '/new%20path?q=%C3%A4%20b', 'abc']);
  assert.deepEqual(
    ['x-a', 'x-b', 'x-c', 'content-length'].map((name) => fields.get(name)),
    ['new', undefined, '1\n2', '3'],
  );
  for (const name of ['host', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host'])
    assert.equal(fields.get(name), 'p.example', name);
  assert.equal(
    ['connection', 'keep-alive', 'expect', 'upgrade', 'transfer-encoding'].some((name) => fields.has(name)),
    false,
  );
  assert.deepEqual(upstream.problems, []);
});

test('changes a response as handlers say, each field once', async (t) => {
  const { client } = await setUp(
    t,
    {
      responseHeaders({ response }) {
        response.status = 201;
        for (const name of ['Server', 'Date', 'X-A']) response.setHeader(name, 'mine');
        response.addHeader('X-B', '2');
        response.removeHeader('X-C');
        for (const name of ['Content-Length', 'Transfer-Encoding', 'Connection'])
          response.setHeader(name, '99');
      },
    },
    {
      onRequest: () =>
        'HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\nDate: x\r\nContent-Length: 2\r\n\r\nok',
    },
  );
  client.write(get());
  await client.has('ok');
  const [{ status, fields }] = client.responses();
  assert.equal(status, 201);
  assert.deepEqual(
    ['server', 'date', 'x-a', 'x-b', 'x-c', 'content-length', 'connection', 'transfer-encoding'].map((name) =>
      fields.get(name),
    ),
    ['mine', 'mine', 'mine', '1\n2', undefined, '2', 'keep-alive', undefined],
  );
});

for (const [from, to] of [
  ['HEAD', 'GET'],
  ['GET', 'HEAD'],
] as const) {
  test(`keeps the client's framing when a ${from} becomes a ${to}`, async (t) => {
    const { client } = await setUp(
      t,
      { access: (exchange) => void (exchange.upstream.method = to) },
      {
        onRequest: ({ method }) => (method === 'HEAD' ? OK.slice(0, -2) : OK),
      },
    );
    for (let i = 0; i < 3; i++) client.write(`${from} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.has((text) => text.split('HTTP/1.1 200').length === 4 && text.endsWith('\r\n\r\n'));
    const responses = client.responses([from, from, from]);
    assert.deepEqual(
      responses.map(({ status, body, complete }) => [status, body, complete]),
      Array(3).fill([200, '', true]),
    );
  });
}

for (const [from, to] of [
  [200, 204],
  [200, 304],
  [304, 200],
  [204, 200],
] as const) {
  test(`keeps the client's framing when the status ${from} becomes ${to}`, async (t) => {
    const { client } = await setUp(
      t,
      { responseHeaders: ({ response }) => void (response.status = to) },
      {
        onRequest: () => (from === 200 ? OK : `HTTP/1.1 ${from} X\r\nContent-Length: 5\r\n\r\n`),
      },
    );
    client.write(get().repeat(3));
    await client.has((text) => text.split(`HTTP/1.1 ${to}`).length === 4 && text.endsWith('\r\n\r\n'));
    assert.deepEqual(
      client.responses().map(({ status, body, complete }) => [status, body, complete]),
      Array(3).fill([to, '', true]),
    );
  });
}

for (const [what, answer] of Object.entries({
  'a length': OK,
  chunks: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  'chunks without an end': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
  'no body': 'HTTP/1.1 304 Not Modified\r\n\r\n',
})) {
  test(`replaces a body framed by ${what}`, async (t) => {
    const { client } = await setUp(
      t,
      {
        responseHeaders({ response }) {
          response.status = 200;
          response.replaceBody('instead');
        },
      },
      { onRequest: () => answer },
    );
    client.write(`${get()}HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${get()}`);
    await client.has((text) => text.split('HTTP/1.1 200').length === 4 && text.split('instead').length >= 3);
    assert.deepEqual(
      client
        .responses(['GET', 'HEAD', 'GET'])
        .map(({ body, fields }) => [body, fields.get('content-length')]),
      [
        ['instead', '7'],
        ['', '7'],
        ['instead', '7'],
      ],
    );
  });
}

test('gives handlers the whole request body, however it came, and the Upstream too', async (t) => {
  const bodies: string[] = [];
  const { gateway, upstream } = await setUp(
    t,
    { access: ({ request }) => void bodies.push(Buffer.from(request.body).latin1Slice()) },
    {},
    'request',
  );
  const length = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789';
  const chunks =
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n0123\r\n6\r\n456789\r\n0\r\nX-T: 1\r\n\r\n';
  for (const request of [length, chunks]) {
    for (const slice of [undefined, 1, 30]) {
      const client = await RawClient.connect(gateway.port);
      if (slice === undefined) client.write(request);
      else await client.writeSliced(request, slice);
      await client.has('ok');
      client.destroy();
    }
  }
  assert.deepEqual(bodies, Array(6).fill('0123456789'));
  assert.deepEqual(
    upstream.requests.map(({ body, fields }) => [body, fields.get('content-length')]),
    Array(6).fill(['0123456789', '10']),
  );
});

test('asks for the body that a handler needs with 100 Continue', async (t) => {
  const { client } = await setUp(t, { access: () => {} }, {}, 'request');
  client.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  await client.has('100 Continue');
  client.write('abc');
  await client.has('ok');
});

test('refuses a body that is larger than may be held, before the Upstream hears of it', async (t) => {
  const { gateway, upstream } = await setUp(t, { access: () => {} }, {}, 'request', {
    maxCollectedBytes: 1000,
  });
  for (const request of [
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n${'a'.repeat(1500)}`,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${'64\r\n'.concat('a'.repeat(100), '\r\n').repeat(20)}`,
  ]) {
    const client = await RawClient.connect(gateway.port);
    await client.writeSliced(request, 400);
    assert.match(await client.has('</html>'), /^HTTP\/1\.1 413 /);
    client.destroy();
  }
  assert.equal(upstream.connections.length, 0);
});

test('lets handlers change the whole response body, waiting or not', async (t) => {
  const { client } = await setUp(
    t,
    {
      async responseBody(exchange) {
        await pause();
        exchange.response.body = Buffer.from(Buffer.from(exchange.response.body).latin1Slice().toUpperCase());
        exchange.response.setHeader('X-Changed', '1');
      },
    },
    {
      onRequest: ({ target, connection }) => {
        if (target === '/length') return 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
        if (target === '/empty') return 'HTTP/1.1 204 No Content\r\n\r\n';
        void connection.writeSliced(
          'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX-T: 1\r\n\r\n',
          5,
        );
      },
    },
    'response',
  );
  client.write(get('/length') + get('/chunks') + get('/empty') + get('/length'));
  await client.has((text) => text.split('HELLO').length === 4);
  assert.deepEqual(
    client.responses().map(({ status, body }) => [status, body]),
    [
      [200, 'HELLO'],
      [200, 'HELLO'],
      [204, ''],
      [200, 'HELLO'],
    ],
  );
});

test('answers 500 for a response that is too large to be held, and stays usable', async (t) => {
  const { client } = await setUp(
    t,
    { responseBody: () => {} },
    {
      onRequest: ({ target }) =>
        target === '/large'
          ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n${'a'.repeat(2000)}\r\n0\r\n\r\n`
          : 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    },
    'response',
    { maxCollectedBytes: 1000 },
  );
  client.write(get('/large'));
  await client.has('HTTP/1.1 500 ');
  for (let i = 1; i <= 3; i++) {
    client.write(get('/small'));
    await client.has((text) => text.split('\r\n\r\nok').length === i + 1);
  }
});

const PHASES = ['rewrite', 'access', 'beforeProxy', 'responseHeaders', 'responseBody', 'log'] as const;
for (const phase of PHASES) {
  for (const how of ['throws', 'rejects'] as const) {
    if (how === 'rejects' && !['rewrite', 'access', 'responseBody'].includes(phase)) continue;
    test(`answers 500 to the one request whose ${phase} handler ${how}`, async (t) => {
      let logged = 0;
      const fail = (exchange: { request: { path: string } }) => {
        if (!exchange.request.path.startsWith('/bad')) return;
        if (how === 'throws') throw new Error('a bug');
        return Promise.reject(new Error('a bug'));
      };
      const handlers = { [phase]: fail, ...(phase !== 'log' && { log: () => void logged++ }) } as Handlers;
      const needs = phase === 'responseBody' ? 'both' : 'request';
      const { client, gateway } = await setUp(t, handlers, {}, needs);
      const bad = 'POST /bad HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc';
      client.write(get('/good'));
      await client.has('ok');
      await client.writeSliced(bad, 10);
      await client.has((text) => text.split('HTTP/1.1').length === 3);
      client.write(get('/good'));
      await client.has((text) => text.split('HTTP/1.1').length === 4);
      assert.deepEqual(
        client.responses().map(({ status }) => status),
        [200, phase === 'log' ? 200 : 500, 200],
      );
      const records = await gateway.recorded(3);
      assert.deepEqual(
        records.map(({ reason }) => reason),
        ['', phase === 'log' ? '' : 'plugin_failed', ''],
      );
      assert.equal(gateway.errors.length, 1);
      if (phase !== 'log') assert.equal(logged, 3, 'the log phase runs whatever happened');
    });
  }
}

test('runs the log phase once for every end, also of refused and abandoned requests', async (t) => {
  const ends: number[] = [];
  const { gateway, client, upstream } = await setUp(
    t,
    { log: ({ response }) => void ends.push(response.status) },
    { onRequest: ({ target }) => (target === '/hang' ? undefined : OK) },
  );
  client.write(get());
  await client.has('ok');
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
  await until(
    'the request',
    () => upstream.connections.length === 1 && upstream.connections[0].text.includes('POST'),
  );
  client.write('zz\r\n');
  await client.has('HTTP/1.1 400');
  const other = await RawClient.connect(gateway.port);
  other.write(get('/hang'));
  await until('the request', () => upstream.requests.some(({ target }) => target === '/hang'));
  other.reset();
  await gateway.recorded(3);
  assert.deepEqual(ends, [200, 400, 499]);
});

test('keeps an Exchange apart while its handlers are out, even when its client has left', async (t) => {
  // Two promises in a row: the first must not free the Exchange for the second.
  const seen: string[] = [];
  let begun = 0;
  const slow = async (exchange: { request: { header(name: string): string | undefined } }) => {
    const before = exchange.request.header('x-id');
    await pause(20);
    const after = exchange.request.header('x-id');
    if (before !== after) seen.push(`${before} became ${after}`);
    return undefined;
  };
  const { gateway, upstream } = await setUp(
    t,
    {
      rewrite: (exchange) => {
        begun++;
        return slow(exchange);
      },
      access: slow,
      responseBody: slow,
    },
    {
      onRequest: ({ fields }) => {
        const id = fields.get('x-id')!;
        return `HTTP/1.1 200 OK\r\nContent-Length: ${id.length}\r\n\r\n${id}`;
      },
    },
    'response',
  );
  let answered = 0;
  for (let round = 0; round < 12; round++) {
    const leaving = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(gateway.port)));
    for (const [i, client] of leaving.entries()) client.write(get('/', `X-Id: leaves-${round}-${i}`));
    // A client that leaves before its request was read leaves no record.
    const expected = round * 12 + leaving.length;
    await until(`${expected} requests to begin`, () => begun >= expected);
    await pause(3 + round * 4);
    for (const client of leaving) client.reset();
    const staying = await Promise.all(Array.from({ length: 6 }, () => RawClient.connect(gateway.port)));
    await Promise.all(
      staying.map(async (client, i) => {
        client.write(get('/', `X-Id: stays-${round}-${i}`));
        await client.has('stays');
        assert.ok(client.text.endsWith(`\r\n\r\nstays-${round}-${i}`), client.text);
        answered++;
        client.destroy();
      }),
    );
  }
  assert.equal(answered, 72);
  assert.deepEqual(seen, []);
  assert.deepEqual(upstream.problems, []);
  await gateway.recorded(144);
});

test('replies from any phase, with its own fields, once each', async (t) => {
  const { client, upstream, gateway } = await setUp(t, {
    async access({ request }) {
      if (request.path === '/later') await pause();
      if (request.path !== '/through')
        return reply(418, 'short', {
          headers: [
            ['Content-Type', 'text/teapot'],
            ['Server', 'pot'],
            ['Content-Length', '99'],
            ['Connection', 'close'],
            ['Date', 'now'],
          ],
          reason: 'teapot',
        });
    },
  });
  client.write(get('/now') + post('x'.repeat(50)) + get('/later') + get('/through'));
  await client.has('\r\n\r\nok');
  const responses = client.responses();
  assert.deepEqual(
    responses.map(({ status, body }) => [status, body]),
    [
      [418, 'short'],
      [418, 'short'],
      [418, 'short'],
      [200, 'ok'],
    ],
  );
  assert.deepEqual(
    ['content-type', 'server', 'content-length', 'connection', 'date'].map((name) =>
      responses[0].fields.get(name),
    ),
    ['text/teapot', 'pot', '5', 'keep-alive', 'now'],
  );
  assert.equal(upstream.requests.length, 1);
  assert.deepEqual(
    (await gateway.recorded(4)).map(({ reason }) => reason),
    ['teapot', 'teapot', 'teapot', ''],
  );
});

test('makes no header injection of what handlers hand it', async (t) => {
  const evil = 'a\r\nX-Evil: 1';
  const { client, upstream } = await setUp(t, {
    access(exchange) {
      const { path } = exchange.request;
      if (path === '/header') exchange.request.setHeader('X-A', evil);
      if (path === '/name') exchange.request.setHeader('X-A: 1\r\nX-Evil', '1');
      if (path === '/host') exchange.upstream.host = evil;
      if (path === '/method') exchange.upstream.method = 'GET / HTTP/1.1\r\nX-Evil';
      if (path === '/path') exchange.upstream.path = '/ HTTP/1.1\r\nX-Evil: 1\u010d\u010a\r\n#?';
      if (path === '/query') exchange.upstream.query = ' HTTP/1.1\r\nX-Evil: 1\u010d\u010a#';
      if (path === '/reply') return reply(200, 'x', { headers: [['X-A', evil]] });
    },
    rewrite: (exchange) => exchange.setClientAddress(evil),
  });
  const paths = ['/header', '/name', '/host', '/method', '/reply', '/path', '/query'];
  for (const [i, path] of paths.entries()) {
    client.write(get(path));
    await client.has((text) => text.split('HTTP/1.1 ').length === i + 2);
  }
  await client.has((text) => text.endsWith('ok'));
  assert.deepEqual(
    client.responses().map(({ status }) => status),
    [500, 500, 500, 500, 500, 200, 200],
  );
  assert.deepEqual(upstream.problems, []);
  assert.ok(
    [...upstream.requests.map(({ head }) => head), client.text].every((text) => !/\r\nX-Evil/.test(text)),
  );
});
