// Filters that can't keep up slow the source down, wherever they stand, so that nothing piles up.
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { BodyFilter, BodySink } from '../../src/plugin/body-filter.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { until } from '../support/raw.ts';

const SIZE = 32 * 1024 * 1024;

/** An Upstream that sends a large body as fast as it is taken, and knows how much that was. */
async function generous(t: TestContext) {
  const sent = { bytes: 0 };
  const piece = Buffer.alloc(64 * 1024);
  const server = net.createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
      let left = SIZE;
      const more = (): void => {
        while (left > 0) {
          left -= piece.length;
          if (!socket.write(piece)) break;
        }
        sent.bytes = SIZE - left - socket.writableLength;
        if (left > 0) socket.once('drain', more);
      };
      more();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { sent, port: (server.address() as net.AddressInfo).port };
}

/** Passes everything on at once. */
const passing = (): BodyFilter => ({
  keepsLength: true,
  write: (bytes, next) => next.write(bytes),
  end: (next) => next.end(),
});

/** Takes one piece and no more until `open` is called; counts what it was given all the same. */
class Gate implements BodyFilter {
  readonly keepsLength = true;
  bytes = 0;
  ended = false;
  #isOpen = false;
  #held: Buffer[] = [];
  #next: BodySink | undefined;

  write(bytes: Uint8Array, next: BodySink): boolean {
    this.bytes += bytes.length;
    this.#next = next;
    if (this.#isOpen) next.write(bytes);
    else this.#held.push(Buffer.from(bytes));
    return this.#isOpen;
  }

  end(next: BodySink): void {
    this.ended = true;
    if (this.#isOpen) next.end();
  }

  open(): void {
    this.#isOpen = true;
    for (const piece of this.#held.splice(0)) this.#next?.write(piece);
    this.#next?.resume();
    if (this.ended) this.#next?.end();
  }
}

/** Resolves when the number has not changed for as long as it takes to change. */
async function settled(read: () => number): Promise<number> {
  let last = -1;
  let still = 0;
  while (still < 10) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    still = read() === last ? still + 1 : 0;
    last = read();
  }
  return last;
}

for (const place of [0, 1, 2]) {
  test(`a filter that takes no more stops the Upstream, with ${place} before it`, async (t) => {
    const { port, sent } = await generous(t);
    const gate = new Gate();
    const probe = plugin('probe', {
      responseHeaders({ response }) {
        for (let index = 0; index < place; index++) response.filterBody(passing());
        response.filterBody(gate);
        response.filterBody(passing());
      },
    });
    const gateway = await Gateway.start(t, {
      routes: [route('all', port, { plugins: { probe: {} } })],
      plugins: [probe],
    });
    const client = net.connect(gateway.port, '127.0.0.1');
    t.after(() => client.destroy());
    let received = 0;
    client.on('data', (bytes) => (received += bytes.length));
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until('it was asked', () => gate.bytes > 0);
    await settled(() => sent.bytes);
    assert.ok(gate.bytes < 2 * 1024 * 1024, `it was given ${gate.bytes} bytes`);
    gate.open();
    await until('all came', () => received > SIZE);
    assert.equal(gate.bytes, SIZE);
  });
}

test('goes on only when every filter takes more', async (t) => {
  const { port } = await generous(t);
  const gates = [new Gate(), new Gate()];
  // The first gives on what it can't take more of, as a compressor does.
  const leaking: BodyFilter = {
    keepsLength: true,
    write(bytes, next) {
      next.write(bytes);
      return gates[0].write(bytes, { write() {}, end() {}, fail() {}, resume: () => next.resume() });
    },
    end: (next) => next.end(),
  };
  const probe = plugin('probe', {
    responseHeaders({ response }) {
      response.filterBody(leaking);
      response.filterBody(gates[1]);
    },
  });
  const gateway = await Gateway.start(t, {
    routes: [route('all', port, { plugins: { probe: {} } })],
    plugins: [probe],
  });
  const client = net.connect(gateway.port, '127.0.0.1');
  t.after(() => client.destroy());
  let received = 0;
  client.on('data', (bytes) => (received += bytes.length));
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await until('it was asked', () => gates[1].bytes > 0);
  gates[0].open();
  assert.ok((await settled(() => gates[1].bytes)) < 2 * 1024 * 1024, 'the second is full still');
  gates[1].open();
  await until('all came', () => received > SIZE);
});
