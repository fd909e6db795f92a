import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closeFrame, FrameFollower } from './websocket-frames.ts';

/** One frame, written as the RFC draws it. */
function frame(opcode: number, length: number, masked: boolean): Buffer {
  const head = [0x80 | opcode, masked ? 0x80 : 0];
  if (length < 126) head[1] |= length;
  else if (length < 65_536) {
    head[1] |= 126;
    head.push(length >> 8, length & 255);
  } else {
    head[1] |= 127;
    head.push(0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255);
  }
  return Buffer.concat([Buffer.from(head), Buffer.alloc((masked ? 4 : 0) + length, 0x88)]);
}

test('finds the end of every frame, however the bytes are cut', () => {
  const frames = fc.array(
    fc.tuple(
      fc.constantFrom(0, 1, 2, 9, 10),
      fc.constantFrom(0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000),
      fc.boolean(),
    ),
    { minLength: 1, maxLength: 6 },
  );
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }),
      (list, sizes) => {
        const pieces = list.map(([opcode, length, masked]) => frame(opcode, length, masked));
        const bytes = Buffer.concat(pieces);
        const ends = new Set<number>([0]);
        for (let at = 0, i = 0; i < pieces.length; i++) ends.add((at += pieces[i].length));
        const whole = new FrameFollower();
        const stopping = new FrameFollower();
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + sizes[i % sizes.length]);
          assert.equal(whole.follow(bytes, at, end, false), end);
          assert.equal(whole.between, ends.has(end));
          for (let from = at; from < end; ) {
            // One byte into the next frame, then to where it stops by itself.
            const next = stopping.follow(bytes, stopping.follow(bytes, from, from + 1, false), end, true);
            if (next < end) assert.ok(ends.has(next));
            from = next;
          }
          at = end;
        }
        assert.equal(whole.closed, false);
      },
    ),
    { numRuns: 60 },
  );
});

test('knows a Close frame, once it is complete', () => {
  for (const masked of [false, true]) {
    const bytes = closeFrame(1001, masked);
    assert.deepEqual([bytes[0], bytes[1] & 127, bytes.length], [0x88, 2, masked ? 8 : 4]);
    const follower = new FrameFollower();
    follower.follow(bytes, 0, bytes.length - 1, false);
    assert.equal(follower.closed, false);
    follower.follow(bytes, bytes.length - 1, bytes.length, false);
    assert.equal(follower.closed, true);
    const mask = masked ? bytes.subarray(2, 6) : Buffer.alloc(2);
    const code = bytes.subarray(masked ? 6 : 2).map((byte, i) => byte ^ mask[i]);
    assert.equal((code[0] << 8) | code[1], 1001);
  }
});
