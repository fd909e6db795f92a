// Replies whose body is made while it is sent: at the client's pace, framed as what is known of its length allows.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { BodyFilter } from '../../src/plugin/body-filter.ts';
import type { BodySource } from '../../src/plugin/body-source.ts';
import { streamedReply } from '../../src/plugin/reply.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { RawClient, until } from '../support/raw.ts';

const request = (method = 'GET', version = '1.1') => `${method} / HTTP/${version}\r\nHost: a\r\n\r\n`;

/** Gives its pieces through one buffer, as a file does. */
class Pieces implements BodySource {
  readonly length: number | undefined;
  readonly #pieces: Iterator<string | Error>;
  readonly #buffer = Buffer.alloc(64 * 1024);
  reads = 0;
  closed = 0;

  constructor(pieces: Iterable<string | Error>, length?: number) {
    this.#pieces = pieces[Symbol.iterator]();
    this.length = length;
  }

  async read(): Promise<Uint8Array | undefined> {
    this.reads++;
    this.#buffer.fill('!');
    const { done, value } = this.#pieces.next();
    if (done === true) return undefined;
    if (value instanceof Error) throw value;
    return this.#buffer.subarray(0, this.#buffer.write(value));
  }

  close(): void {
    this.closed++;
  }
}

async function setUp(
  t: TestContext,
  make: () => Pieces,
  more: { filter?: () => BodyFilter; needsBody?: 'response' } = {},
) {
  const sources: Pieces[] = [];
  const probe = plugin(
    'probe',
    {
      access() {
        const source = make();
        sources.push(source);
        return streamedReply(200, source);
      },
      responseHeaders(exchange) {
        if (more.filter !== undefined) exchange.response.filterBody(more.filter());
      },
      ...(more.needsBody && {
        responseBody({ response }) {
          response.body = Buffer.from(`[${Buffer.from(response.body).toString()}]`);
        },
      }),
    },
    more.needsBody && { needsBody: () => more.needsBody },
  );
  const gateway = await Gateway.start(t, {
    routes: [route('all', 1, { plugins: { probe: {} } })],
    plugins: [probe],
  });
  const client = await RawClient.connect(gateway.port);
  t.after(() => client.destroy());
  return { gateway, client, sources };
}

test('sends a body of known length piece by piece', async (t) => {
  const { client, sources } = await setUp(t, () => new Pieces(['one ', 'two'], 7));
  client.write(request() + request());
  await until('two answers', () => client.responses().length === 2);
  for (const { body, fields } of client.responses()) {
    assert.equal(body, 'one two');
    assert.equal(fields.get('content-length'), '7');
  }
  assert.deepEqual(
    sources.map(({ closed }) => closed),
    [1, 1],
  );
});

test('sends a body of unknown length in chunks, and to HTTP/1.0 until the connection ends', async (t) => {
  const { client } = await setUp(t, () => new Pieces(['one ', 'two']));
  client.write(request());
  await until('an answer', () => client.responses().length === 1);
  assert.equal(client.responses()[0].fields.get('transfer-encoding'), 'chunked');
  assert.equal(client.responses()[0].body, 'one two');
  client.write(request('GET', '1.0'));
  assert.match(await client.finished(), /Connection: close(?s:.*)\r\n\r\none two$/);
});

test('reads nothing for HEAD, but says the length', async (t) => {
  const { client, sources } = await setUp(t, () => new Pieces(['one ', 'two'], 7));
  client.write(request('HEAD'));
  assert.match(await client.has('\r\n\r\n'), /Content-Length: 7\r\n/);
  await until('it is closed', () => sources[0].closed === 1);
  assert.equal(sources[0].reads, 0);
});

test('passes through filters, and is whole for a Binding that needs it so', async (t) => {
  const enclosing = (): BodyFilter => ({
    write: (bytes, next) => next.write(bytes),
    end(next) {
      next.write(Buffer.from('>'));
      next.end();
    },
  });
  const { client, sources } = await setUp(t, () => new Pieces(['one ', 'two'], 7), {
    filter: enclosing,
    needsBody: 'response',
  });
  client.write(request());
  await until('an answer', () => client.responses()[0]?.complete === true);
  assert.equal(client.responses()[0].body, '[one two]>');
  assert.equal(sources[0].closed, 1);
});

test('is read no faster than the client takes it', async (t) => {
  const endless = function* () {
    for (;;) yield 'x'.repeat(64 * 1024);
  };
  const { client, sources, gateway } = await setUp(t, () => new Pieces(endless()));
  client.socket.pause();
  client.write(request());
  let last = -1;
  await until('it stands still', () => {
    const stands = sources[0] !== undefined && sources[0].reads > 2 && sources[0].reads === last;
    last = sources[0]?.reads ?? -1;
    return stands;
  });
  assert.ok(last < 1000, `${last} pieces were read`);
  client.socket.resume();
  await until('it goes on', () => sources[0].reads > last + 10);
  client.reset();
  await until('it is let go', () => sources[0].closed === 1);
  await gateway.recorded(1);
});

for (const [what, pieces, length] of [
  ['fails', ['one', new Error('the disk is gone')], undefined],
  ['is too short', ['one'], 7],
  ['is too long', ['one', 'two'], 4],
] as const) {
  test(`breaks the response off when the body ${what}`, async (t) => {
    const { client, sources } = await setUp(t, () => new Pieces(pieces, length));
    client.write(request());
    await until('the end', () => client.closed || client.ending !== 'open');
    assert.ok(client.responses().every(({ complete }) => !complete));
    assert.equal(sources[0].closed, 1);
  });
}
