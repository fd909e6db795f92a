// Requests that the gateway makes for itself, through the same engine as everybody's.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { OwnRequest, OwnResponse } from '../../src/plugin/own-request.ts';
import { freePort } from '../support/free-port.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

interface Sent {
  response?: OwnResponse;
  error?: Error;
}

/** Sends requests of the gateway's own to its Route's Upstream, one for each that a client sends. */
async function setUp(t: TestContext, script: UpstreamScript, request: Partial<OwnRequest>, ports?: number[]) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const sent: Sent[] = [];
  const sender = plugin('sender', (kit) => ({
    async access(exchange) {
      const given = {
        upstream: exchange.destination!,
        method: 'GET',
        target: '/own?q=1',
        headers: [
          ['Host', 'own.example'],
          ['X-Own', 'yes'],
        ] as const,
        ...request,
      };
      const one: Sent = {};
      await kit.send(given).then(
        (response) => {
          one.response = response;
        },
        (error: Error) => {
          one.error = error;
        },
      );
      sent.push(one);
    },
  }));
  const gateway = await Gateway.start(t, {
    routes: [route('all', ports ?? upstream.port, { plugins: { sender: {} } })],
    plugins: [sender],
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  const ask = async (count = 1) => {
    for (let i = 0; i < count; i++) client.write('GET /theirs HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('all were sent', () => sent.length >= count);
    return sent;
  };
  return { upstream, gateway, client, ask };
}

const CHUNKED =
  'HTTP/1.1 203 Fine\r\nX-B: 2\r\nx-a: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n';
const LENGTH = 'HTTP/1.1 203 Fine\r\nX-B: 2\r\nx-a: 1\r\nContent-Length: 5\r\n\r\nabcde';
const CLOSE = 'HTTP/1.1 203 Fine\r\nX-B: 2\r\nx-a: 1\r\n\r\nabcde';

for (const [framing, text] of Object.entries({ chunks: CHUNKED, length: LENGTH, close: CLOSE })) {
  test(`gets status, fields and body of an answer framed by ${framing}`, async (t) => {
    const { ask, upstream } = await setUp(
      t,
      {
        onRequest({ connection, target }) {
          if (target === '/theirs') return 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
          connection.write(`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${text}`);
          if (framing === 'close') connection.socket.end();
          return undefined;
        },
      },
      {},
    );
    const [{ response }] = await ask();
    assert.equal(response?.status, 203);
    assert.equal(Buffer.from(response.body).toString(), 'abcde');
    const fields = response.headers.filter(([name]) => /^x-/i.test(name));
    assert.deepEqual(fields, [
      ['X-B', '2'],
      ['x-a', '1'],
    ]);
    const [request] = upstream.requests;
    assert.deepEqual([request.method, request.target], ['GET', '/own?q=1']);
    assert.deepEqual([request.fields.get('host'), request.fields.get('x-own')], ['own.example', 'yes']);
  });
}

test('sends a body, and uses connections again', async (t) => {
  const { ask, upstream, gateway } = await setUp(t, {}, { method: 'POST', body: Buffer.from('my body') });
  await ask(3);
  assert.equal(upstream.requests[0].body, 'my body');
  assert.deepEqual(upstream.problems, []);
  assert.equal(upstream.connections.length, 1);
  assert.equal(gateway.records.filter(({ targetText }) => targetText !== '/theirs').length, 0);
});

test('rejects with the reason when no Target answers', async (t) => {
  const { ask } = await setUp(t, {}, {}, [await freePort()]);
  const [{ error }] = await ask();
  assert.equal(error?.message, 'connect_failed');
});

test('gives up after its time, and lets go of the Upstream', async (t) => {
  const { ask, upstream } = await setUp(
    t,
    { onRequest: () => undefined, onHead: () => undefined },
    { timeoutMs: 20 },
  );
  // Without an answer the script would send its own; one that never settles stays silent.
  upstream.script = { onRequest: () => new Promise(() => {}) };
  const [{ error }] = await ask();
  assert.equal(error?.message, 'timeout');
  await until('the connection was closed', () => upstream.connections[0].ending !== 'open');
});

test('refuses an answer that is larger than wanted, or cut short', async (t) => {
  const large = await setUp(t, { onRequest: () => CHUNKED }, { maxBodyBytes: 4 });
  assert.equal((await large.ask())[0].error?.message, 'the body is too large');
  const cut = await setUp(
    t,
    {
      onRequest({ connection }) {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc');
        connection.socket.end();
      },
    },
    {},
  );
  assert.equal(typeof (await cut.ask())[0].error?.message, 'string');
});

test('refuses fields and targets that would become another request', async (t) => {
  for (const wrong of [
    { target: '/a b' },
    { target: 'nowhere' },
    { headers: [['X', 'a\r\nY: b']] as const },
    { headers: [['X Y', 'a']] as const },
    { method: 'GET /x' },
  ]) {
    const { ask, upstream } = await setUp(t, {}, wrong);
    assert.match((await ask())[0].error?.message ?? '', /^not a /, JSON.stringify(wrong));
    assert.deepEqual(
      upstream.requests.map(({ target }) => target).filter((target) => target !== '/theirs'),
      [],
    );
  }
});
