import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { TransportOwner } from '../http/transport.ts';
import { BodyReader } from './body-reader.ts';
import { deliverChunk, deliverLastChunk } from './chunk-writer.ts';

/** Takes what a stream delivers, as the engine would. */
class Taker implements TransportOwner {
  readonly pieces: Buffer[] = [];
  onConnected(): void {}
  onData(bytes: Buffer, start: number, end: number): void {
    this.pieces.push(Buffer.from(bytes.subarray(start, end)));
  }
  onEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}

function read(
  reader: BodyReader,
  fields: readonly string[],
  pieces: readonly Uint8Array[],
): Buffer | undefined {
  const data: Buffer[] = [];
  const sink = {
    onChunkData: (bytes: Uint8Array, start: number, end: number) => {
      data.push(Buffer.from(bytes.subarray(start, end)));
    },
  };
  reader.begin(fields, false, true, sink);
  for (const piece of pieces) if (!reader.read(piece, 0, piece.length)) return undefined;
  return Buffer.concat(data);
}

test('what is framed in chunks comes out as it went in, trailers too, wherever it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 100_000 }), { maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 4000 }),
      (frames, trailing, cut) => {
        const taker = new Taker();
        for (const frame of frames) deliverChunk(taker, Buffer.from(frame));
        const trailers = ['x-a', '1', ':status', '200', 'content-length', '5', 'x-b', 'c d', 'x-c', 'a\r\nb'];
        deliverLastChunk(taker, trailing ? trailers : undefined);
        const bytes = Buffer.concat(taker.pieces);
        const cuts: Buffer[] = [];
        for (let at = 0; at < bytes.length; at += cut) cuts.push(bytes.subarray(at, at + cut));
        const reader = new BodyReader();
        const body = read(reader, ['transfer-encoding', 'chunked'], cuts);
        assert.ok(body?.equals(Buffer.concat(frames)));
        assert.equal(reader.complete, true);
        // What means framing may not trail, and nothing that would become another line.
        assert.deepEqual({ ...reader.trailers() }, trailing ? { 'x-a': '1', 'x-b': 'c d' } : {});
      },
    ),
    { numRuns: 50 },
  );
});

test('ends a body by its length, and takes no more', () => {
  const reader = new BodyReader();
  assert.equal(
    read(reader, ['content-length', '5'], [Buffer.from('ab'), Buffer.from('cde')])?.toString(),
    'abcde',
  );
  assert.equal(reader.complete, true);
  assert.equal(read(new BodyReader(), ['content-length', '2'], [Buffer.from('abc')]), undefined);
  assert.equal(read(new BodyReader(), ['content-length', '0'], [Buffer.from('a')]), undefined);
});

test('leaves a body without framing open until the connection ends', () => {
  const reader = new BodyReader();
  assert.equal(read(reader, [], [Buffer.from('ab')])?.toString(), 'ab');
  assert.deepEqual([reader.complete, reader.untilClose], [false, true]);
});
