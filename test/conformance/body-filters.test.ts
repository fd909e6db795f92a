// Bodies that pass through filters of Plugins: changed piece by piece, framed anew, never held.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { BodyFilter } from '../../src/plugin/body-filter.ts';
import { reply } from '../../src/plugin/reply.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { RawClient, RawUpstream, type UpstreamScript, until } from '../support/raw.ts';

const get = (method = 'GET', version = '1.1') => `${method} / HTTP/${version}\r\nHost: a\r\n\r\n`;

/** Doubles every letter. */
const doubling = (): BodyFilter => ({
  write(bytes, next) {
    next.write(Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll(/./gs, '$&$&')));
  },
  end: (next) => next.end(),
});

/** Encloses the body. */
const enclosing = (): BodyFilter => ({
  write: (bytes, next) => next.write(bytes),
  end(next) {
    next.write(Buffer.from('>'));
    next.end();
  },
});

async function setUp(t: TestContext, script: UpstreamScript, filters: (() => BodyFilter)[], answer?: string) {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  const probe = plugin('probe', {
    access: () => (answer === undefined ? undefined : reply(200, answer)),
    responseHeaders(exchange) {
      for (const make of filters) exchange.response.filterBody(make());
    },
  });
  const gateway = await Gateway.start(t, {
    routes: [route('all', upstream.port, { plugins: { probe: {} } })],
    plugins: [probe],
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { upstream, gateway, client };
}

const answering = (response: string): UpstreamScript => ({ onRequest: () => response });
const LENGTH = answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
const CHUNKED = answering(
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n',
);

for (const [kind, script] of Object.entries({ length: LENGTH, chunks: CHUNKED })) {
  test(`passes a body framed by ${kind} through filters in the order in which they were added`, async (t) => {
    const { client } = await setUp(t, script, [doubling, enclosing]);
    client.write(get() + get());
    await until('two answers', () => client.responses().length === 2);
    for (const { status, fields, body } of client.responses()) {
      assert.deepEqual([status, body], [200, 'ookk>']);
      assert.equal(fields.get('transfer-encoding'), 'chunked');
      assert.equal(fields.get('content-length'), undefined);
    }
  });
}

test('ends the body with the connection for a client that knows no chunks', async (t) => {
  const { client } = await setUp(t, CHUNKED, [doubling]);
  client.write(get('GET', '1.0'));
  assert.match(await client.finished(), /Connection: close(?s:.*)\r\n\r\nookk$/);
});

test("keeps the length of a body that filters don't change", async (t) => {
  const seen: string[] = [];
  const watching = (): BodyFilter => ({
    keepsLength: true,
    write(bytes, next) {
      seen.push(Buffer.from(bytes).toString());
      next.write(bytes);
    },
    end(next) {
      seen.push('end');
      next.end();
    },
  });
  const { client } = await setUp(t, LENGTH, [watching]);
  client.write(get());
  assert.match(await client.has('\r\n\r\nok'), /content-length: 2\r\n/i);
  assert.deepEqual(seen, ['ok', 'end']);
});

test("passes the gateway's own answers through filters", async (t) => {
  const { client } = await setUp(t, LENGTH, [doubling, enclosing], 'ab');
  client.write(get() + get());
  await until('two answers', () => client.responses().length === 2);
  assert.deepEqual(
    client.responses().map(({ body }) => body),
    ['aabb>', 'aabb>'],
  );
});

test('says no length to HEAD, as filters have not made the body', async (t) => {
  let aborted = 0;
  const counting = (): BodyFilter => ({ ...doubling(), abort: () => void aborted++ });
  const { client } = await setUp(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n'), [counting]);
  client.write(get('HEAD'));
  const text = await client.has('\r\n\r\n');
  assert.match(text, /^HTTP\/1\.1 200/);
  assert.doesNotMatch(text, /content-length|transfer-encoding/i);
  await until('the filter was let go', () => aborted === 1);
});

test('sends the first piece before the second comes', async (t) => {
  let finish: (() => void) | undefined;
  const { client } = await setUp(
    t,
    {
      onRequest({ connection }) {
        connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n');
        finish = () => connection.write('1\r\nb\r\n0\r\n\r\n');
      },
    },
    [doubling],
  );
  client.write(get());
  await client.has('aa');
  finish?.();
  await client.has('bb\r\n0\r\n\r\n');
});

test('waits for a filter that works in the background and holds the Upstream back meanwhile', async (t) => {
  let waiting = 0;
  const slow = (): BodyFilter => {
    let pending = Promise.resolve();
    return {
      write(bytes, next) {
        const own = Buffer.from(bytes);
        waiting++;
        pending = pending.then(async () => {
          await new Promise((resolve) => setImmediate(resolve));
          next.write(own);
          if (--waiting === 0) next.resume();
        });
        return false;
      },
      end: (next) => void pending.then(() => next.end()),
    };
  };
  const body = 'x'.repeat(3_000_000);
  const { client } = await setUp(
    t,
    answering(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    [slow, enclosing],
  );
  client.write(get());
  await until('all has come', () => client.responses()[0]?.body.length === body.length + 1);
  assert.equal(client.responses()[0].body.endsWith('x>'), true);
});

test('aborts filters and the answer when the Upstream dies in the middle', async (t) => {
  let aborted = 0;
  const counting = (): BodyFilter => ({ ...doubling(), abort: () => void aborted++ });
  const { client, gateway } = await setUp(
    t,
    {
      onRequest({ connection }) {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab');
        setImmediate(() => connection.destroy());
      },
    },
    [counting],
  );
  client.write(get());
  await client.finished();
  assert.doesNotMatch(client.text, /\r\n0\r\n\r\n$/);
  await until('the filter was let go', () => aborted === 1);
  assert.equal(gateway.records[0].reason, 'upstream_closed');
});

test('aborts filters when the client leaves', async (t) => {
  let aborted = 0;
  const counting = (): BodyFilter => ({ ...doubling(), abort: () => void aborted++ });
  const { client } = await setUp(
    t,
    { onRequest: ({ connection }) => connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab') },
    [counting],
  );
  client.write(get());
  await client.has('aabb');
  client.reset();
  await until('the filter was let go', () => aborted === 1);
});

test('aborts the answer when a filter fails, and says which', async (t) => {
  const failing = (): BodyFilter => ({
    write: (_, next) => next.fail(new Error('no more ink')),
    end: (next) => next.end(),
  });
  const { client, gateway } = await setUp(t, LENGTH, [failing]);
  client.write(get());
  await client.finished();
  assert.doesNotMatch(client.text, /\r\n0\r\n\r\n$/);
  assert.equal(gateway.errors.length, 1);
  assert.match(gateway.errors[0], /no more ink/);
});
