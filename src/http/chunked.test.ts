import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CHUNK_BAD, CHUNK_MORE, ChunkedScanner } from './chunked.ts';

interface Scanned {
  end: number;
  data: string;
  /** What the scanner counted. */
  dataBytes: number;
}

function scan(text: string, slices: readonly number[] = []): Scanned {
  const bytes = Buffer.from(text, 'latin1');
  const scanner = new ChunkedScanner();
  let data = '';
  scanner.sink = {
    onChunkData(from, start, end) {
      data += Buffer.from(from.subarray(start, end)).latin1Slice();
    },
  };
  let at = 0;
  let end = CHUNK_MORE;
  for (let i = 0; end === CHUNK_MORE && at < bytes.length; i++) {
    const to = Math.min(bytes.length, at + (slices[i] ?? bytes.length));
    end = scanner.scan(bytes, at, to);
    at = to;
  }
  return { end, data, dataBytes: scanner.dataBytes };
}

const name = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9!#_-]{0,8}$/).map((text) => `x-${text}`);
const extension = fc.oneof(
  name.map((text) => `;${text}`),
  fc.tuple(name, name).map(([key, value]) => `;${key}=${value}`),
  fc
    .tuple(name, fc.stringMatching(/^([ !#-[\]-~]|\\[ -~]){0,10}$/))
    .map(([key, value]) => `;${key}="${value}"`),
);
const extensions = fc.array(extension, { maxLength: 2 }).map((list) => list.join(''));
const size = (length: number, zeros: number, upper: boolean) => {
  const digits = length.toString(16);
  return '0'.repeat(zeros) + (upper ? digits.toUpperCase() : digits);
};
const chunk = fc
  .tuple(
    fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 40 }),
    extensions,
    fc.nat(3),
    fc.boolean(),
  )
  .map(([data, extra, zeros, upper]) => ({
    data,
    wire: `${size(data.length, zeros, upper)}${extra}\r\n${data}\r\n`,
  }));
const body = fc
  .tuple(
    fc.array(chunk, { maxLength: 6 }),
    extensions,
    fc.array(fc.tuple(name, fc.stringMatching(/^[ -~]{0,20}$/)), { maxLength: 3 }),
  )
  .map(([chunks, extra, trailers]) => ({
    data: chunks.map(({ data }) => data).join(''),
    wire: `${chunks.map(({ wire }) => wire).join('')}0${extra}\r\n${trailers.map(([key, value]) => `${key}:${value}\r\n`).join('')}\r\n`,
  }));
const slices = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 });

test('decodes any chunking, in any pieces, and stops at its last byte', () => {
  fc.assert(
    fc.property(
      body,
      slices,
      fc.string({ unit: 'binary-ascii', maxLength: 5 }),
      ({ data, wire }, cuts, rest) => {
        const scanned = scan(wire + rest, cuts);
        assert.deepEqual(scanned, { end: wire.length, data, dataBytes: data.length });
      },
    ),
    { numRuns: 500 },
  );
});

test('asks for more at every byte before the last', () => {
  fc.assert(
    fc.property(body, fc.nat(), ({ wire }, at) => {
      assert.equal(scan(wire.slice(0, at % wire.length)).end, CHUNK_MORE);
    }),
    { numRuns: 500 },
  );
});

test('judges the same bytes alike in whatever pieces they come', () => {
  const noise = fc.string({ unit: fc.constantFrom(...'0159aAfFgx;="\\: \t\r\n\0-_'), maxLength: 30 });
  fc.assert(
    fc.property(
      noise,
      fc.oneof(
        noise,
        body.map(({ wire }) => wire),
      ),
      slices,
      (before, after, cuts) => {
        const whole = scan(before + after);
        const sliced = scan(before + after, cuts);
        assert.equal(sliced.end, whole.end);
        if (whole.end !== CHUNK_BAD) assert.deepEqual(sliced, whole);
      },
    ),
    { numRuns: 1000 },
  );
});

test('refuses sizes and decorations without end', () => {
  assert.equal(scan('0'.repeat(17)).end, CHUNK_BAD);
  assert.equal(scan('f'.repeat(11)).end, CHUNK_BAD);
  assert.equal(scan(`1;${'a'.repeat(20_000)}`).end, CHUNK_BAD);
  assert.equal(scan(`${'1;aaaaaaaa\r\nb\r\n'.repeat(2_000)}0\r\n\r\n`).end, CHUNK_BAD);
  assert.equal(scan(`0\r\n${'X-T: aaaaaaaa\r\n'.repeat(2_000)}\r\n`).end, CHUNK_BAD);
});

test('refuses a trailer that a recipient could take for framing, routing or identity', () => {
  for (const field of [
    'content-length',
    'Transfer_Encoding',
    'HOST',
    'X-Real-IP',
    'authorization',
    'Connection',
  ])
    assert.equal(scan(`0\r\n${field}: 1\r\n\r\n`).end, CHUNK_BAD, field);
  for (const field of ['grpc-status', 'Server-Timing', 'Date', 'ETag'])
    assert.ok(scan(`0\r\n${field}: 1\r\n\r\n`).end > 0, field);
});

test('starts anew after a reset, wherever it was', () => {
  const scanner = new ChunkedScanner();
  const good = Buffer.from('1\r\na\r\n0\r\n\r\n');
  for (const before of ['', '5\r\nab', '5;a="', '0\r\nX-T', 'zz', '000000000']) {
    scanner.reset();
    scanner.scan(Buffer.from(before), 0, before.length);
    scanner.reset();
    assert.equal(scanner.scan(good, 0, good.length), good.length, before);
    assert.equal(scanner.dataBytes, 1);
  }
});
