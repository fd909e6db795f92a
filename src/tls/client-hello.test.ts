import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { CLIENT_HELLO_MAX, readClientHello } from './client-hello.ts';

/** What OpenSSL sends first. */
function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read() {}, write: (bytes) => resolve(bytes) });
    tls.connect({ socket: wire, ...options }).on('error', () => {});
  });
}

/** The same message in records of so many bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

/** A ClientHello with these extensions and nothing special else. */
function helloWith(extensions: Buffer): Buffer {
  const u16 = (number: number) => Buffer.from([number >> 8, number & 255]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0x13, 1, 1, 0]),
    u16(extensions.length),
    extensions,
  ]);
  const message = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from([22, 3, 1]), u16(message.length), message]);
}

function serverName(name: string, type = 0): Buffer {
  const length = Buffer.byteLength(name, 'latin1');
  const hex = (number: number) => number.toString(16).padStart(4, '0');
  return Buffer.concat([
    Buffer.from(`0000${hex(length + 5)}${hex(length + 3)}0${type}${hex(length)}`, 'hex'),
    Buffer.from(name, 'latin1'),
  ]);
}

test('finds the name and the protocols that OpenSSL asks for', async () => {
  const asking = { servername: 'Shop.Example', ALPNProtocols: ['h2', 'http/1.1'] };
  assert.deepEqual(readClientHello(await helloOf(asking)), {
    kind: 'hello',
    serverName: 'shop.example',
    protocols: ['h2', 'http/1.1'],
  });
  assert.deepEqual(readClientHello(await helloOf({ servername: 'a', maxVersion: 'TLSv1.2' })), {
    kind: 'hello',
    serverName: 'a',
    protocols: [],
  });
  assert.deepEqual(readClientHello(await helloOf({})), {
    kind: 'hello',
    serverName: undefined,
    protocols: [],
  });
});

test('says the same whatever pieces and records it comes in', async () => {
  const hello = await helloOf({ servername: 'shop.example', ALPNProtocols: ['h2', 'http/1.1'] });
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 1000 }), (size) => {
      const bytes = inRecords(hello, size);
      let needed = 1;
      let asked = 0;
      for (let length = 1; length <= bytes.length; length++) {
        if (length < needed) continue;
        asked++;
        const said = readClientHello(bytes, length);
        if (said.kind === 'more') {
          assert.ok(said.needed > length && said.needed <= bytes.length);
          needed = said.needed;
          continue;
        }
        const protocols = ['h2', 'http/1.1'];
        assert.deepEqual(said, { kind: 'hello', serverName: 'shop.example', protocols });
        assert.equal(length, bytes.length);
      }
      // Not once for each byte.
      assert.ok(asked < 10 + 3 * Math.ceil(hello.length / size));
    }),
  );
});

test('leaves alone what is no TLS', () => {
  for (const text of ['SSH-2.0-x', 'GET / HTTP/1.1', '\x16\x02', '\0'])
    assert.equal(readClientHello(Buffer.from(text, 'latin1')).kind, 'other', text);
});

test('refuses what two readers could understand differently', () => {
  const kind = (extensions: Buffer) => readClientHello(helloWith(extensions)).kind;
  assert.equal(kind(serverName('a.example')), 'hello');
  assert.equal(kind(Buffer.concat([serverName('a.example'), serverName('b.example')])), 'malformed');
  for (const name of ['', 'a b', 'a\0.example', '.example', 'a..example', 'a/../b', 'ä.example'])
    assert.equal(kind(serverName(name)), 'malformed', name);
  assert.equal(kind(serverName('a.example', 1)), 'malformed');
  assert.equal(kind(Buffer.concat([serverName('a.example'), Buffer.from([0])])), 'malformed');
});

test('takes neither endless nor empty records', async () => {
  const hello = await helloOf({ servername: 'shop.example' });
  const flood = Buffer.concat(Array.from({ length: 200 }, () => Buffer.from([22, 3, 1, 0, 1, 1])));
  assert.equal(readClientHello(flood).kind, 'malformed');
  assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])).kind, 'malformed');
  const huge = Buffer.from([22, 3, 1, 64, 0, 1, 1, 0, 0]);
  assert.equal(readClientHello(huge).kind, 'malformed');
  assert.equal(readClientHello(inRecords(hello, 1)).kind, 'malformed');
});

test('never throws, and never wants more than it may', async () => {
  const hello = await helloOf({ servername: 'shop.example' });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(hello);
      for (const [at, value] of changes) bytes[at] = value;
      const said = readClientHello(bytes);
      if (said.kind === 'more') assert.ok(said.needed > bytes.length && said.needed <= CLIENT_HELLO_MAX);
    }),
    { numRuns: 1000 },
  );
});
