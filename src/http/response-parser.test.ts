import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COMPLETE, MORE, type ParseResult } from './field-parser.ts';
import { Head } from './head.ts';
import { type ProtocolError, Refusal } from './protocol-error.ts';
import { parseResponse } from './response-parser.ts';

function parse(text: string, slices: readonly number[] = []): { result: ParseResult; head: Head } {
  const head = new Head();
  const bytes = Buffer.from(text, 'latin1');
  let result: ParseResult = MORE;
  let at = 0;
  for (let i = 0; result === MORE && at < bytes.length; i++) {
    const end = Math.min(bytes.length, at + (slices[i] ?? bytes.length));
    while (result === MORE && at < end) {
      at += head.append(bytes, at, end);
      result = parseResponse(head);
      if (head.filled === head.bytes.length) head.grow(1 << 20);
    }
  }
  return { result, head };
}

const name = fc.stringMatching(/^[A-Za-z!#$%&'*+.^_`|~0-9-]{1,12}$/).map((text) => `X-${text}`);
const value = fc.string({ unit: fc.constantFrom(...'abcXYZ019 \t,;:="\\\x80\xff()'), maxLength: 20 });

test('reads any well-formed head, in any pieces', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 599 }),
      fc.constantFrom('', ' ', ' OK', ' Not Found', ' \t\xe9'),
      fc.array(fc.tuple(name, value), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 80 }),
      fc.string({ unit: 'binary-ascii', maxLength: 8 }),
      (status, reason, fields, slices, rest) => {
        fc.pre(!fields.some(([key]) => /^x[-_](forwarded|real|consumer|credential)[-_]/i.test(key)));
        const text = `HTTP/1.1 ${status}${reason}\r\n${fields.map(([key, text]) => `${key}:${text}\r\n`).join('')}\r\n`;
        const { result, head } = parse(text + rest, slices);
        assert.equal(result, COMPLETE);
        assert.equal(head.length, text.length);
        assert.equal(head.status, status);
        assert.deepEqual(
          Array.from({ length: head.count }, (_, i) => [head.nameAt(i), head.valueAt(i)]),
          fields.map(([key, text]) => [key, text.replace(/^[ \t]+|[ \t]+$/g, '')]),
        );
      },
    ),
    { numRuns: 300 },
  );
});

const REFUSED: [name: string, text: string, refusal: ProtocolError][] = [
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n', Refusal.StatusLine],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n', Refusal.StatusLine],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n', Refusal.StatusLine],
  ['a short status', 'HTTP/1.1 99 No\r\n\r\n', Refusal.StatusLine],
  ['a status beyond 599', 'HTTP/1.1 600 No\r\n\r\n', Refusal.StatusLine],
  ['letters in the status', 'HTTP/1.1 2x0 No\r\n\r\n', Refusal.StatusLine],
  ['a long status', 'HTTP/1.1 2000 No\r\n\r\n', Refusal.StatusLine],
  ['a bare LF after the status line', 'HTTP/1.1 200 OK\nA: b\r\n\r\n', Refusal.StatusLine],
  ['NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n', Refusal.StatusLine],
  [
    'two framings',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    Refusal.LengthAndCoding,
  ],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n', Refusal.ContentLength],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', Refusal.CodingInHttp10],
  [
    'more fields than there is room for',
    `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(129)}\r\n`,
    Refusal.TooManyFields,
  ],
];
for (const [what, text, refusal] of REFUSED) {
  test(`refuses ${what}`, () => {
    assert.equal(parse(text).result, refusal);
    assert.equal(parse(text, Array(text.length).fill(1)).result, refusal);
  });
}

test('lets a response carry fields that only mean something in requests', () => {
  const { result } = parse('HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nExpect: x\r\n\r\n');
  assert.equal(result, COMPLETE);
});
