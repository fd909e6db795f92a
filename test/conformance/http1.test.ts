// HTTP/1.1 between a client, the gateway and an Upstream, all real sockets: keep-alive, pipelining,
// interim responses, half-closed connections, what is forwarded and what isn't.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { deadlinesOf } from '../../src/lib/deadlines.ts';
import { Gateway, type GatewayOptions, route } from '../support/gateway.ts';
import { OK, RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const get = (target = '/', ...fields: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: a', ...fields, '', ''].join('\r\n');
const post = (body: string, ...fields: string[]) =>
  `${['POST / HTTP/1.1', 'Host: a', `Content-Length: ${body.length}`, ...fields, '', ''].join('\r\n')}${body}`;

/** A gateway with one Upstream for everything, and a client of it. */
async function setUp(
  t: TestContext,
  script: UpstreamScript = {},
  options: Partial<GatewayOptions> = {},
): Promise<{ upstream: RawUpstream; gateway: Gateway; client: RawClient }> {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, { routes: [route('all', upstream.port)], ...options });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, gateway, client };
}

test('answers pipelined requests in their order, its own replies among them', async (t) => {
  const upstream = await RawUpstream.start({
    onRequest: async ({ target }) => {
      await new Promise((resolve) => setTimeout(resolve, target.endsWith('slow') ? 20 : 0));
      return `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`;
    },
  });
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, { routes: [route('r', upstream.port)] });
  const client = await RawClient.connect(gateway.port);
  const targets = ['/r/slow', '/none', '/r/2', '/r/slow', '/none/2', '/none/3', '/r/%zz', '/r/last'];
  client.write(targets.map((target) => get(target)).join(''));
  await client.has('/r/last');
  assert.deepEqual(
    client.responses().map(({ status, body, complete }) => [status, status === 200 ? body : '', complete]),
    targets.map((target) =>
      target.includes('none')
        ? [404, '', true]
        : target.includes('%zz')
          ? [400, '', true]
          : [200, target, true],
    ),
  );
  const records = await gateway.recorded(targets.length);
  assert.deepEqual(
    records.map(({ targetText }) => targetText),
    targets,
  );
  client.destroy();
});

test('serves thousands of pipelined requests that fit into one read without deep stacks', async (t) => {
  const { client, gateway } = await setUp(t, {}, { routes: [] });
  client.write(get('/n').repeat(2000));
  await client.has((text) => text.split('HTTP/1.1 404').length === 2001);
  await gateway.recorded(2000);
});

test('takes a pipelined request that comes in two halves, body and all', async (t) => {
  const { client, upstream } = await setUp(t);
  const second = post('hello');
  client.write(get() + second.slice(0, 20));
  await client.has('ok');
  await client.writeSliced(second.slice(20), 7);
  await client.has((text) => text.split('ok').length === 3);
  assert.equal(upstream.requests[1].body, 'hello');
});

test('answers each pipelined POST with what belongs to it', async (t) => {
  const { client } = await setUp(t, {
    onRequest: ({ body }) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  });
  const bodies = Array.from({ length: 40 }, (_, i) => `<${String(i).repeat(1 + ((i * 37) % 300))}>`);
  await client.writeSliced(bodies.map((body) => post(body)).join(''), 501);
  await until(
    'all answers',
    () => client.responses().filter(({ complete }) => complete).length === bodies.length,
  );
  assert.deepEqual(
    client.responses().map(({ body }) => body),
    bodies,
  );
});

test('keeps or closes a connection as version and Connection say', async (t) => {
  const upstream = await RawUpstream.start();
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, { routes: [route('all', upstream.port)] });
  for (const [request, keeps] of [
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', true],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', false],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n', false],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n', false],
    ['GET / HTTP/1.0\r\nHost: a\r\n\r\n', false],
    ['GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n', true],
  ] as const) {
    const client = await RawClient.connect(gateway.port);
    client.write(request);
    const text = await client.has('ok');
    assert.match(text, keeps ? /\r\nConnection: keep-alive\r\n/ : /\r\nConnection: close\r\n/, request);
    if (keeps) {
      client.write(request);
      await client.has((received) => received.split('ok').length === 3);
    } else assert.ok((await client.finished()) && client.ending === 'end');
    client.destroy();
  }
});

test('closes a connection after the number of requests that it may serve', async (t) => {
  const { client } = await setUp(t, {}, { limits: { maxRequests: 3 } });
  client.write(get().repeat(5));
  await client.finished();
  const responses = client.responses();
  assert.deepEqual(
    responses.map(({ fields }) => fields.get('connection')),
    ['keep-alive', 'keep-alive', 'close'],
  );
});

test('uses a connection to the Upstream again, unless the Upstream says otherwise', async (t) => {
  let answer = OK;
  const { client, upstream } = await setUp(t, { onRequest: () => answer });
  let count = 0;
  const ask = async () => {
    client.write(get());
    const wanted = ++count + 1;
    await client.has((text) => text.split('ok').length === wanted);
  };
  for (let i = 0; i < 3; i++) await ask();
  assert.equal(upstream.connections.length, 1);
  answer = OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
  await ask();
  await until('the connection to be closed', () => upstream.connections[0].ending !== 'open');
  answer = OK.replace('HTTP/1.1', 'HTTP/1.0');
  await ask();
  await ask();
  assert.equal(upstream.connections.length, 3);
});

test('gives an HTTP/1.0 client a chunked body without the chunks, up to the end of the connection', async (t) => {
  const { client } = await setUp(t, {
    onRequest: ({ connection }) => {
      void connection.writeSliced(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n',
        3,
      );
    },
  });
  client.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  const text = await client.finished();
  assert.equal(client.ending, 'end');
  assert.ok(text.endsWith('\r\n\r\nhello world'), text);
  assert.doesNotMatch(text, /transfer-encoding|content-length/i);
  assert.match(text, /\r\nConnection: close\r\n/);
});

test('starts anew with each chunked response for HTTP/1.0, also after one that broke off', async (t) => {
  const { gateway, upstream } = await setUp(t);
  upstream.script = {
    onRequest: ({ target, connection }) => {
      connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel');
      if (target === '/break') setTimeout(() => connection.reset(), 5);
      else connection.write('lo\r\n0\r\n\r\n');
    },
  };
  for (const [target, ending] of [
    ['/break', 'reset'],
    ['/', 'end'],
    ['/break', 'reset'],
    ['/', 'end'],
  ] as const) {
    const client = await RawClient.connect(gateway.port);
    client.write(`GET ${target} HTTP/1.0\r\n\r\n`);
    const text = await client.finished();
    assert.equal(client.ending, ending);
    if (ending === 'end') assert.ok(text.endsWith('\r\n\r\nhello'), text);
    client.destroy();
  }
});

test('passes trailers both ways', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: () =>
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\n\r\n',
  });
  client.write(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Check: 7\r\n\r\n',
  );
  const text = await client.has('\r\n0\r\nX-Sum: 42\r\n\r\n');
  assert.match(text, /\r\nTrailer: X-Sum\r\n/);
  assert.equal(upstream.requests[0].trailers, 'X-Check: 7\r\n');
  assert.equal(upstream.requests[0].fields.has('x-check'), false, 'never among the headers');
});

test('says 100 Continue itself, and only when the body is wanted', async (t) => {
  const { upstream, gateway } = await setUp(t);
  const client = await RawClient.connect(gateway.port);
  client.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  await client.has('HTTP/1.1 100 Continue\r\n\r\n');
  client.write('abc');
  await client.has('ok');
  assert.deepEqual(
    client.responses().map(({ status }) => status),
    [100, 200],
  );
  assert.deepEqual(
    upstream.requests.map(({ body, fields }) => [body, fields.has('expect')]),
    [['abc', false]],
  );
  client.destroy();
});

test('answers a request that it denies without asking for its body', async (t) => {
  const { client } = await setUp(t, {}, { routes: [] });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
  const text = await client.finished();
  assert.match(text, /^HTTP\/1\.1 404 /);
  assert.match(text, /\r\nConnection: close\r\n/);
});

test('passes interim responses on, to clients that know them', async (t) => {
  const { client, gateway } = await setUp(t, {
    onRequest: () =>
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n${OK}`,
  });
  client.write(get());
  await client.has('ok');
  assert.deepEqual(
    client.responses().map(({ status, fields }) => [status, fields.get('link')]),
    [
      [103, '</a>'],
      [103, '</b>'],
      [200, undefined],
    ],
  );
  assert.equal(client.responses()[0].fields.has('connection'), false);
  const old = await RawClient.connect(gateway.port);
  old.write('GET / HTTP/1.0\r\n\r\n');
  await old.finished();
  assert.deepEqual(
    old.responses().map(({ status }) => status),
    [200],
  );
  old.destroy();
});

test('answers a client that has ended its side and still listens', async (t) => {
  const { gateway } = await setUp(t, {
    onRequest: () => new Promise((resolve) => setTimeout(() => resolve(OK), 60)),
  });
  for (const count of [1, 3]) {
    const client = await RawClient.connect(gateway.port);
    client.write(get().repeat(count));
    client.socket.end();
    await client.finished();
    assert.equal(client.ending, 'end');
    assert.equal(client.responses().filter(({ status }) => status === 200).length, count);
    client.destroy();
  }
  assert.ok((await gateway.recorded(4)).every(({ status, reason }) => status === 200 && reason === ''));
});

test('cancels the request of a client that went away within about a second', async (t) => {
  const { client, upstream, gateway } = await setUp(t, { onRequest: () => {} });
  client.write(get());
  await until('the request', () => upstream.requests.length === 1);
  client.socket.resetAndDestroy();
  await until('the cancellation', () => upstream.connections[0].ending !== 'open', 500);
  const polite = await RawClient.connect(gateway.port);
  polite.write(get());
  await until('the request', () => upstream.requests.length === 2);
  polite.socket.destroy(); // a FIN, as of a client that only ended its side
  await until('the cancellation', () => upstream.connections[1].ending !== 'open', 1500);
  const records = await gateway.recorded(2);
  assert.deepEqual(
    records.map(({ status, reason }) => [status, reason]),
    [
      [499, 'client_abort'],
      [499, 'client_abort'],
    ],
  );
});

test('notices that a client went away behind its pipelined requests', async (t) => {
  const { client, upstream } = await setUp(t, {
    onRequest: ({ target }) => (target === '/first' ? OK : undefined),
  });
  client.write(get('/first') + get('/last'));
  await until('the last request', () => upstream.requests.length === 2);
  client.socket.resetAndDestroy();
  await until('the cancellation', () => upstream.connections.every(({ ending }) => ending !== 'open'), 1500);
});

test('records a client that leaves in the middle of a head or of a body', async (t) => {
  const { gateway, client } = await setUp(t);
  client.write('GET / HT');
  await until('the connection', () => gateway.dataPlane.connectionCount === 1);
  await new Promise((resolve) => setTimeout(resolve, 10));
  client.socket.end();
  const [record] = await gateway.recorded(1);
  assert.deepEqual(
    [record.status, record.reason, record.clientAddress, record.bytesIn],
    [499, 'client_abort', '127.0.0.1', 8],
  );
  const other = await RawClient.connect(gateway.port);
  other.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  await new Promise((resolve) => setTimeout(resolve, 10));
  other.socket.end();
  const records = await gateway.recorded(2);
  assert.deepEqual([records[1].status, records[1].reason], [499, 'client_abort']);
  other.destroy();
});

test('leaves no trace of clients that connect and say nothing', async (t) => {
  const { gateway, client } = await setUp(t);
  client.destroy();
  await until('the connection to be gone', () => gateway.dataPlane.connectionCount === 0);
  assert.deepEqual(gateway.records, []);
});

test('delivers an early final response while the client uploads, and closes', async (t) => {
  const { client, upstream, gateway } = await setUp(t, {
    onHead: () => 'HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig',
    onRequest: () => {},
  });
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n${'a'.repeat(1000)}`);
  await client.has('big');
  await client.writeSliced('a'.repeat(2000), 100);
  const text = await client.finished();
  assert.match(text, /^HTTP\/1\.1 413 Too Large\r\n/);
  assert.match(text, /\r\nConnection: close\r\n/);
  assert.equal(client.ending, 'end');
  assert.notEqual(upstream.connections[0].ending, 'open', 'the half-used connection is not used again');
  assert.deepEqual(
    (await gateway.recorded(1)).map(({ status, reason }) => [status, reason]),
    [[413, '']],
  );
});

test('keeps the connection after a reply when the rest of the body is small', async (t) => {
  const { client } = await setUp(t, {}, { routes: [] });
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc');
  await client.has('Not Found"}');
  await client.writeSliced(`${'a'.repeat(997)}${get('/second')}`, 100);
  await client.has((text) => text.split('Not Found"}').length === 3);
  assert.deepEqual(
    client.responses().map(({ status }) => status),
    [404, 404],
  );
});

test('closes after a reply when the rest of the body is large or of unknown size', async (t) => {
  const { gateway } = await setUp(t, {}, { routes: [] });
  for (const framing of ['Content-Length: 1000000', 'Transfer-Encoding: chunked']) {
    const client = await RawClient.connect(gateway.port);
    client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    assert.match(await client.finished(), /\r\nConnection: close\r\n/);
    client.destroy();
  }
});

test('strips what is between the Upstream and us from responses', async (t) => {
  const { client } = await setUp(t, {
    onRequest: () =>
      'HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nServer: nginx\r\nX-End: 2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok',
  });
  client.write(get());
  const text = await client.has('ok');
  const [{ fields }] = client.responses();
  assert.match(text, /^HTTP\/1\.1 200 Fine\r\n/);
  assert.deepEqual([...fields.keys()].sort(), [
    'connection',
    'content-length',
    'date',
    'server',
    'set-cookie',
    'x-end',
  ]);
  assert.equal(fields.get('set-cookie'), 'a\nb');
  assert.equal(fields.get('server'), 'sluice');
});

test('tells the Upstream who the client is, by its own word for strangers', async (t) => {
  const { client, upstream } = await setUp(t);
  client.write(
    get(
      '/',
      'X-Forwarded-For: 9.9.9.9',
      'X-Real-IP: 8.8.8.8',
      'X-Forwarded-Proto: https',
      'Forwarded: for=7',
    ),
  );
  await client.has('ok');
  const { fields } = upstream.requests[0];
  assert.deepEqual(
    ['x-forwarded-for', 'x-real-ip', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded'].map((name) =>
      fields.get(name),
    ),
    ['127.0.0.1', '127.0.0.1', 'http', 'a', undefined],
  );
});

test('believes trusted hops about the client, up to the first that is not', async (t) => {
  const { client, upstream, gateway } = await setUp(t, {}, { trusted: ['127.0.0.1', '10.0.0.1'] });
  client.write(
    get(
      '/',
      'X-Forwarded-For: 6.6.6.6, 9.9.9.9',
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: public.example',
      'X-Forwarded-Port: 443',
      'Forwarded: for=7',
    ),
  );
  await client.has('ok');
  const { fields } = upstream.requests[0];
  assert.deepEqual(
    [
      'x-forwarded-for',
      'x-real-ip',
      'x-forwarded-proto',
      'x-forwarded-host',
      'x-forwarded-port',
      'forwarded',
    ].map((name) => fields.get(name)),
    ['6.6.6.6, 9.9.9.9, 10.0.0.1, 127.0.0.1', '9.9.9.9', 'https', 'public.example', '443', 'for=7'],
  );
  assert.equal((await gateway.recorded(1))[0].clientAddress, '9.9.9.9');
});

test('gives a client so long for its head, its body and its next request', async (t) => {
  const limits = { head: deadlinesOf(60), body: deadlinesOf(80), idle: deadlinesOf(70) };
  const { gateway, client: silent } = await setUp(t, {}, { limits });
  assert.equal(await silent.finished(), '', 'a connection without a request ends without an answer');

  const slowHead = await RawClient.connect(gateway.port);
  slowHead.write('GET / HTTP/1.1\r\nHo');
  assert.match(await slowHead.finished(), /^HTTP\/1\.1 408 /);

  const slowBody = await RawClient.connect(gateway.port);
  slowBody.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc');
  assert.match(await slowBody.finished(), /^HTTP\/1\.1 408 /);

  const idle = await RawClient.connect(gateway.port);
  idle.write(get());
  await idle.has('ok');
  assert.equal((await idle.finished()).split('HTTP/1.1').length, 2);
  assert.equal(idle.ending, 'end');

  const records = await gateway.recorded(3);
  assert.deepEqual(
    records.map(({ status, reason }) => [status, reason]),
    [
      [408, 'head_timeout'],
      [408, 'body_timeout'],
      [200, ''],
    ],
  );
  for (const client of [slowHead, slowBody, idle]) client.destroy();
});

test('gives a slow head no more time for each byte', async (t) => {
  const { client } = await setUp(t, {}, { limits: { head: deadlinesOf(100) } });
  const dripping = setInterval(() => client.socket.write('x'), 20);
  t.after(() => clearInterval(dripping));
  client.write('GET / HTTP/1.1\r\nX-A: ');
  assert.match(await client.finished(), /^HTTP\/1\.1 408 /);
});

test('drains: idle connections close, requests under way end and close theirs', async (t) => {
  let answer: ((text: string) => void) | undefined;
  const { client, gateway, upstream } = await setUp(t, {
    onRequest: () => new Promise((resolve) => (answer = resolve)),
  });
  const { port } = gateway;
  const idle = await RawClient.connect(port);
  client.write(get());
  await until('the request', () => upstream.requests.length === 1);
  const drained = gateway.dataPlane.drain(2000);
  await idle.finished();
  assert.equal(idle.ending, 'end');
  answer!(OK);
  await client.finished();
  assert.equal(client.ending, 'end');
  const [{ status, fields }] = client.responses();
  assert.deepEqual([status, fields.get('connection')], [200, 'close']);
  client.socket.end();
  idle.socket.end();
  await drained;
  await assert.rejects(RawClient.connect(port));
});

test('drains while another process accepts: what is on its way is answered, what was promised is kept', async (t) => {
  const { client, gateway, upstream } = await setUp(t, {
    onRequest: ({ target }) => (target === '/slow' ? 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab' : OK),
  });
  const fresh = await RawClient.connect(gateway.port);
  const silent = await RawClient.connect(gateway.port);
  client.write(get('/slow'));
  await until('half of a body', () => client.received.includes('\r\n\r\nab'));
  const drained = gateway.dataPlane.drain(2_000, 1_000);
  upstream.requests[0].connection.write('cd');
  await until('the other half', () => client.received.includes('abcd'));
  client.write(get('/next'));
  fresh.write(get('/first'));
  await Promise.all([client.finished(), fresh.finished(), silent.finished()]);
  assert.deepEqual(
    client.responses().map(({ status, fields }) => [status, fields.get('connection')]),
    [
      [200, 'keep-alive'],
      [200, 'close'],
    ],
  );
  assert.deepEqual(
    fresh.responses().map(({ status, fields }) => [status, fields.get('connection')]),
    [[200, 'close']],
  );
  assert.equal(silent.ending, 'end');
  for (const { socket } of [client, fresh, silent]) socket.end();
  await drained;
});
