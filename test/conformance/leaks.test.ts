// Nobody gets another one's bytes: many clients at once, each of which knows every byte of its own
// answers, with random sizes, slices and pauses, and neighbours that break off at any time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { RawClient, type RawRequest, type RawSocket, RawUpstream, until } from '../support/raw.ts';

const CLIENTS = 24;
const REQUESTS = 12;
const SEED = Number(process.env.LEAKS_SEED ?? 7);

function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return (state >>> 7) % below;
  };
}

/** A body that nobody else has: its name repeated, so that a single stray byte shows. */
function bodyOf(name: string, size: number): string {
  return `<${name}>`.repeat(Math.ceil(size / (name.length + 2))).slice(0, size);
}

function chunked(body: string, random: (below: number) => number): string {
  let wire = '';
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random(9000));
    wire += `${size.toString(16)}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  return `${wire}0\r\n\r\n`;
}

function answer({ fields, body }: RawRequest, random: (below: number) => number): string {
  const name = fields.get('x-name') ?? '';
  const size = Number(fields.get('x-size'));
  const mine = `${bodyOf(name, size)}|${body}`;
  const head = `HTTP/1.1 200 OK\r\nX-Name: ${name}\r\n`;
  return random(2) === 0
    ? `${head}Content-Length: ${mine.length}\r\n\r\n${mine}`
    : `${head}Transfer-Encoding: chunked\r\n\r\n${chunked(mine, random)}`;
}

function send(socket: RawSocket, wire: string, random: (below: number) => number): void | Promise<void> {
  if (random(3) > 0) return socket.write(wire);
  return socket.writeSliced(wire, () => 1 + random(20_000));
}

test(`gives every client its own bytes and no others (LEAKS_SEED=${SEED})`, async (t) => {
  const upstreamRandom = randomFrom(SEED + 999);
  const upstream = await RawUpstream.start({
    onRequest: (request) => {
      const wire = answer(request, upstreamRandom);
      switch (upstreamRandom(20)) {
        case 0: // dies on the way
          request.connection.write(wire.slice(0, wire.length >> 1));
          setTimeout(() => request.connection.reset(), 1);
          return;
        case 1: // sends more than it should
          request.connection.write(
            `${wire}HTTP/1.1 200 OK\r\nX-Name: nobody\r\nContent-Length: 6\r\n\r\nnobody`,
          );
          return;
        default:
          void send(request.connection, wire, upstreamRandom);
      }
    },
  });
  t.after(() => upstream.close());
  const gateway = await Gateway.start(t, {
    routes: [
      route('bare', upstream.port),
      route('slow', upstream.port, { plugins: { slow: {} } }),
      route('whole', upstream.port, { plugins: { whole: {} } }),
    ],
    plugins: [
      plugin('slow', { access: () => new Promise((resolve) => setTimeout(resolve, 2)) }),
      plugin('whole', { responseBody: () => {} }, { needsBody: () => 'both' }),
    ],
  });

  let intact = 0;
  let broken = 0;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, index) => {
      const random = randomFrom(SEED + index);
      for (let number = 0; number < REQUESTS; number++) {
        let client = await RawClient.connect(gateway.port);
        const name = `${index}-${number}`;
        const size = random(4) === 0 ? random(200_000) : random(3000);
        const body = bodyOf(`up ${name}`, random(3) === 0 ? random(60_000) : 0);
        const framing = random(2) === 0 ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
        const wire = framing.startsWith('C') ? body : chunked(body, random);
        const place = ['bare', 'bare', 'slow', 'whole'][random(4)];
        const head = `POST /${place}/ HTTP/1.1\r\nHost: a\r\nX-Name: ${name}\r\nX-Size: ${size}\r\n${framing}\r\n\r\n`;
        const start = client.length;
        const sent = send(client, head + wire, random);
        if (random(5) === 0) {
          client.socket.pause();
          setTimeout(() => client.socket.resume(), random(25));
        }
        await sent;
        if (random(12) === 0) {
          // Leaves in the middle of it; its place is taken by another.
          setTimeout(() => client.reset(), random(6));
          await until('the reset', () => client.closed);
          continue;
        }
        const own = () => client.responses().at(-1);
        await until(
          `the answer to ${name}`,
          () => client.ending !== 'open' || (client.length > start && own()?.complete === true),
          20_000,
        );
        const response = own();
        const expected = `${bodyOf(name, size)}|${body}`;
        if (response?.complete && response.status === 200) {
          assert.equal(response.fields.get('x-name'), name);
          assert.ok(response.body === expected, `${name} got ${response.body.slice(0, 200)}`);
          intact++;
        } else {
          // What came before it broke off must be its own all the same.
          broken++;
          if (response !== undefined && response.status === 200) {
            assert.equal(response.fields.get('x-name'), name);
            if (response.fields.has('content-length')) assert.ok(expected.startsWith(response.body));
          }
        }
        client.destroy();
        client = await RawClient.connect(gateway.port);
        // Two at once on one connection.
        const pair = [0, 1].map(
          (i) => `GET /bare/ HTTP/1.1\r\nHost: a\r\nX-Name: ${name}-${i}\r\nX-Size: 50\r\n\r\n`,
        );
        client.write(pair.join(''));
        await until(
          'two answers',
          () =>
            client.ending !== 'open' || client.responses().filter(({ complete }) => complete).length === 2,
          20_000,
        );
        for (const [i, { status, body: got, complete }] of client.responses().entries())
          if (complete && status === 200) assert.equal(got, `${bodyOf(`${name}-${i}`, 50)}|`);
        client.destroy();
      }
    }),
  );
  assert.ok(intact > (CLIENTS * REQUESTS) / 2, `${intact} intact, ${broken} broken`);
  assert.deepEqual(
    upstream.problems.filter((problem) => !problem.startsWith('cut off')),
    [],
  );
  await until('all connections to be gone', () => gateway.dataPlane.connectionCount === 0);
  assert.ok(gateway.records.every(({ status }) => status > 0));
});
