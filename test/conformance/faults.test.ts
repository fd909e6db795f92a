// Upstreams that refuse, stall, lie or die: what the client gets and what the record says.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/free-port.ts';
import { Gateway, type GatewayOptions, route } from '../support/gateway.ts';
import { OK, RawClient, type RawSocket, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const get = (target = '/') => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (body: string) => `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const FAST = { upstream: { timeout: { connect: 0.1, send: 0.1, read: 0.1 } } };

async function start(t: TestContext, script: UpstreamScript = {}): Promise<RawUpstream> {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  return upstream;
}

async function open(
  t: TestContext,
  options: GatewayOptions,
): Promise<{ gateway: Gateway; client: RawClient }> {
  const gateway = await Gateway.start(t, options);
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { gateway, client };
}

test('answers 502 when nobody listens, and asks the next Target first', async (t) => {
  const dead = await freePort();
  const alive = await start(t);
  const { gateway, client } = await open(t, {
    routes: [route('dead', dead), route('both', [dead, alive.port])],
  });
  client.write(get('/dead/'));
  assert.match(await client.has('</html>'), /^HTTP\/1\.1 502 /);
  client.write(get('/both/'));
  await client.has('ok');
  const records = await gateway.recorded(2);
  assert.deepEqual(
    records.map(({ status, reason, attempts, target }) => [status, reason, attempts, target]),
    [
      [502, 'connect_failed', 1, `127.0.0.1:${dead}`],
      [200, '', 2, `127.0.0.1:${alive.port}`],
    ],
  );
});

test('sends a POST to the next Target when the first could not be reached, body and all', async (t) => {
  const alive = await start(t);
  const { client } = await open(t, { routes: [route('all', [await freePort(), alive.port])] });
  client.write(post('hello').slice(0, -2));
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.write('lo');
  await client.has('ok');
  assert.deepEqual(
    alive.requests.map(({ body }) => body),
    ['hello'],
  );
});

for (const [how, kill] of [
  ['closes', (connection: RawSocket) => void connection.socket.end()],
  ['resets', (connection: RawSocket) => connection.reset()],
] as const) {
  test(`answers 502 when the Upstream ${how} before a response; tries a GET again, a POST never`, async (t) => {
    const bad = await start(t, { onRequest: ({ connection }) => kill(connection) });
    const good = await start(t);
    const { gateway, client } = await open(t, {
      routes: [route('one', bad.port), route('all', [bad.port, good.port])],
    });
    client.write(get('/one/'));
    await client.has('502 Bad Gateway\r\n');
    client.write(get());
    await client.has('ok');
    client.write(post('pay'));
    await client.has((text) => text.split('HTTP/1.1 502').length === 3);
    assert.deepEqual([...bad.requests, ...good.requests].filter(({ method }) => method === 'POST').length, 1);
    const records = await gateway.recorded(3);
    assert.deepEqual(
      records.map(({ status, attempts }) => [status, attempts]),
      [
        [502, 1],
        [200, 2],
        [502, 1],
      ],
    );
    assert.match(records[0].reason, /^upstream_(closed|reset)$/);
  });
}

test('retries at most as often as the Upstream says', async (t) => {
  const bad = await Promise.all(
    [0, 1, 2].map(() => start(t, { onRequest: ({ connection }) => connection.reset() })),
  );
  const ports = bad.map(({ port }) => port);
  const { gateway, client } = await open(t, {
    routes: [
      route('none', ports, { upstream: { retries: 0 } }),
      route('one', ports, { upstream: { retries: 1 } }),
      route('all', ports),
    ],
  });
  client.write(get('/none/') + get('/one/') + get('/all/'));
  await client.has((text) => text.split('HTTP/1.1 502').length === 4);
  assert.deepEqual(
    (await gateway.recorded(3)).map(({ attempts }) => attempts),
    [1, 2, 3],
  );
});

test('replaces a pooled connection that the Target closed meanwhile, for a GET without anybody noticing', async (t) => {
  const upstream = await start(t, {
    // The next request on the connection finds it dead: closed only when it arrives.
    onHead: ({ number, connection }) => {
      if (number > 1) connection.reset();
    },
    onRequest: ({ number }) => (number > 1 ? undefined : OK),
  });
  const { gateway, client } = await open(t, { routes: [route('all', upstream.port)] });
  for (let i = 1; i <= 4; i++) {
    client.write(get());
    await client.has((text) => text.split('\r\n\r\nok').length === i + 1);
  }
  assert.ok((await gateway.recorded(4)).every(({ status, attempts }) => status === 200 && attempts === 1));
  client.write(post('pay'));
  await client.has('HTTP/1.1 502 ');
  assert.equal(upstream.requests.filter(({ method }) => method === 'POST').length <= 1, true);
});

test('survives an Upstream that closes idle connections all the time', async (t) => {
  // Closing takes effect as the next request may be on its way: the race of every keep-alive pool.
  const upstream = await start(t, {
    onRequest: ({ connection, number }) => {
      setTimeout(() => connection.socket.end(), number % 3);
      return OK;
    },
  });
  const { gateway } = await open(t, { routes: [route('all', upstream.port)] });
  const clients = await Promise.all(Array.from({ length: 8 }, () => RawClient.connect(gateway.port)));
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 1; i <= 40; i++) {
        client.write(get());
        await until('an answer', () => client.length > 0 && client.responses().length === i);
      }
      assert.ok(client.responses().every(({ status }) => status === 200));
      client.destroy();
    }),
  );
  assert.ok((await gateway.recorded(320)).every(({ status }) => status === 200));
  assert.ok(upstream.connections.length > 40, `${upstream.connections.length} connections`);
});

test('answers 504 when the Upstream says nothing, and destroys the connection', async (t) => {
  const upstream = await start(t, { onRequest: () => {} });
  const { gateway, client } = await open(t, { routes: [route('all', upstream.port, FAST)] });
  client.write(post('x'));
  assert.match(await client.has('</html>'), /^HTTP\/1\.1 504 Gateway Time-out\r\n/);
  await until('the end of the connection', () => upstream.connections[0].ending !== 'open');
  assert.deepEqual(
    (await gateway.recorded(1)).map(({ status, reason }) => [status, reason]),
    [[504, 'read_timeout']],
  );
});

test('answers 504 when a connection is not ready in time, its handshake included', async (t) => {
  const upstream = await start(t, {
    onConnection: (connection) => connection.socket.removeAllListeners('data'),
  });
  const upstreamOptions = { scheme: 'https', timeout: { connect: 0.1, send: 1, read: 1 } };
  const { gateway, client } = await open(t, {
    routes: [route('all', upstream.port, { upstream: upstreamOptions })],
  });
  client.write(get());
  assert.match(await client.has('</html>'), /^HTTP\/1\.1 504 /);
  assert.deepEqual(
    (await gateway.recorded(1)).map(({ status, reason }) => [status, reason]),
    [[504, 'connect_timeout']],
  );
  await until('the end of the connection', () =>
    upstream.connections.every(({ closed, ending }) => closed || ending !== 'open'),
  );
});

test('answers 504 when the Upstream stops reading the request', async (t) => {
  const upstream = await start(t, {
    onConnection: (connection) => {
      connection.socket.removeAllListeners('data');
      setImmediate(() => connection.socket.pause());
    },
  });
  const { gateway, client } = await open(t, { routes: [route('all', upstream.port, FAST)] });
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n`);
  client.socket.write(Buffer.alloc(50_000_000));
  assert.match(await client.has('</html>'), /^HTTP\/1\.1 504 /);
  assert.deepEqual(
    (await gateway.recorded(1)).map(({ reason }) => reason),
    ['send_timeout'],
  );
});

const HEADS: Record<string, string> = {
  'a length': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
  chunks: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n',
  'the end of the connection': 'HTTP/1.1 200 OK\r\n\r\n',
};
for (const [framing, head] of Object.entries(HEADS)) {
  for (const [how, kill] of [
    ['closes', (connection: RawSocket) => void connection.socket.end()],
    ['resets', (connection: RawSocket) => connection.reset()],
    ['stalls', () => {}],
  ] as const) {
    // A close is how such a body ends.
    if (how === 'closes' && framing === 'the end of the connection') continue;
    test(`aborts, and never cleanly ends, a response framed by ${framing} when the Upstream ${how}`, async (t) => {
      const upstream = await start(t, { onRequest: () => `${head}partial` });
      const { gateway, client } = await open(t, { routes: [route('all', upstream.port, FAST)] });
      client.write(get());
      await client.has('partial');
      kill(upstream.connections[0]);
      await client.finished();
      assert.equal(client.ending, 'reset');
      const [record] = await gateway.recorded(1);
      assert.equal(record.status, 200);
      assert.match(record.reason, /^(upstream_closed|upstream_reset|read_timeout)$/);
      await until(
        'the end of the connection',
        () => upstream.connections[0].closed || upstream.connections[0].ending !== 'open',
      );
    });
  }
}

test('leaves no Upstream connections behind after a thousand clients that gave up', async (t) => {
  const upstream = await start(t, { onRequest: () => {} });
  const gateway = await Gateway.start(t, { routes: [route('all', upstream.port)] });
  for (let round = 0; round < 20; round++) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.connect(gateway.port)));
    for (const client of clients) client.write(get());
    await until('the requests', () => upstream.requests.length === (round + 1) * 50);
    for (const client of clients) client.reset();
  }
  await until(
    'everything to be closed',
    () => upstream.open === 0 && gateway.dataPlane.connectionCount === 0,
  );
  assert.ok(
    (await gateway.recorded(1000)).every(({ status, reason }) => status === 499 && reason === 'client_abort'),
  );
});

test('answers 503 when no Target is configured or its name has no address', async (t) => {
  const { gateway, client } = await open(t, {
    routes: [
      route('none', []),
      { id: 'name', uri: '/name/*', upstream: { type: 'roundrobin', nodes: { 'nowhere.invalid:80': 1 } } },
    ],
    resolver: {
      addresses: () => undefined,
      resolve: () => Promise.reject(new Error('ENOTFOUND')),
      watch: () => () => {},
    },
  });
  client.write(get('/none/') + get('/name/'));
  await client.has((text) => text.split('HTTP/1.1 503').length === 3);
  assert.deepEqual(
    (await gateway.recorded(2)).map(({ status, reason }) => [status, reason]),
    [
      [503, 'no_target'],
      [503, 'unresolved'],
    ],
  );
});

test('forgets a request whose client left while the name was looked up', async (t) => {
  const found: ((addresses: string[]) => void)[] = [];
  const upstream = await start(t);
  const { gateway, client } = await open(t, {
    routes: [
      {
        id: 'name',
        uri: '/*',
        upstream: { type: 'roundrobin', nodes: { [`slow.example:${upstream.port}`]: 1 } },
      },
    ],
    resolver: {
      addresses: () => undefined,
      resolve: () => new Promise((resolve) => found.push(resolve)),
      watch: () => () => {},
    },
  });
  client.write(get());
  await until('the look-up', () => found.length === 1);
  client.reset();
  await gateway.recorded(1);
  found[0](['127.0.0.1']);
  await gateway.recorded(1);
  assert.equal(upstream.connections.length, 0);
});
