import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { answerTo, question } from './dns-message.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** The answer's head and question: flags, count of answers. */
function begun(asked: Buffer, flags: number, answers: number): Buffer {
  const head = Buffer.from(asked.subarray(0, asked.length - 11));
  head.writeUInt16BE(flags, 2);
  head.writeUInt16BE(answers, 6);
  head.writeUInt16BE(0, 10);
  return head;
}

test('asks for one name, recursively, and says how much it can take', () => {
  assert.equal(
    question(0xabcd, 'a.bc.', 'SRV').toString('hex'),
    `abcd01000001000000000001${'0161 026263 00'.replaceAll(' ', '')}00210001${'000029 04d0 00000000 0000'.replaceAll(' ', '')}`,
  );
  for (const name of ['', '.', 'a..b', 'a'.repeat(64), `${'a.'.repeat(127)}ab`]) {
    assert.throws(() => question(1, name, 'A'), /DNS/, name);
  }
});

test('follows CNAMEs and pointers; the shortest TTL on the way counts', () => {
  const asked = question(1, 'a.b', 'A');
  const cname = bytes('c00c 0005 0001 00000014 0004 0163 c00e');
  const address = bytes('c021 0001 0001 0000003c 0004 0a000001');
  const message = Buffer.concat([begun(asked, 0x8180, 2), cname, address]);
  assert.deepEqual(answerTo(asked, message), {
    truncated: false,
    code: 0,
    records: [{ type: 'A', ttl: 20, address: '10.0.0.1' }],
  });
});

test('shows IPv6 addresses as they are usually written', () => {
  const asked = question(1, 'a.b', 'AAAA');
  const record = bytes('c00c 001c 0001 00000001 0010 20010db8 00000000 00000000 00000001');
  const found = answerTo(asked, Buffer.concat([begun(asked, 0x8180, 1), record]))?.records[0];
  assert.ok(found?.type === 'AAAA');
  assert.equal(found.address, '2001:db8::1');
});

test('takes no answer to another question', () => {
  const asked = question(1, 'a.b', 'A');
  assert.ok(answerTo(asked, begun(asked, 0x8180, 0)) !== undefined);
  assert.equal(answerTo(asked, begun(question(2, 'a.b', 'A'), 0x8180, 0)), undefined, 'another id');
  assert.equal(answerTo(asked, begun(question(1, 'a.c', 'A'), 0x8180, 0)), undefined, 'another name');
  assert.equal(answerTo(asked, begun(question(1, 'a.b', 'AAAA'), 0x8180, 0)), undefined, 'another type');
  assert.equal(answerTo(asked, begun(asked, 0x0100, 0)), undefined, 'a question');
});

test('a message that is cut short, or whose pointers lead in circles, ends with a RangeError', () => {
  const asked = question(1, 'a.b', 'SRV');
  const record = bytes('c00c 0021 0001 00000001 0009 0001 0002 0050 016300');
  const whole = Buffer.concat([begun(asked, 0x8180, 1), record]);
  assert.equal(answerTo(asked, whole)?.records.length, 1);
  for (let length = begun(asked, 0, 0).length; length < whole.length; length++) {
    assert.throws(() => answerTo(asked, whole.subarray(0, length)), RangeError, `${length} bytes`);
  }
  const circle = Buffer.concat([begun(asked, 0x8180, 1), bytes('c015 0021 0001')]);
  circle.writeUInt16BE(0xc000 | begun(asked, 0, 0).length, begun(asked, 0, 0).length);
  assert.throws(() => answerTo(asked, circle), RangeError);
});

test('whatever comes, it is an answer, none, or a RangeError', () => {
  const asked = question(1, 'a.b', 'SRV');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 5 }), (noise, answers) => {
      for (const message of [Buffer.from(noise), Buffer.concat([begun(asked, 0x8180, answers), noise])]) {
        try {
          answerTo(asked, message);
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }
    }),
  );
});
