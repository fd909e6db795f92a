import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMPLETE, MORE } from './field-parser.ts';
import { Head } from './head.ts';
import { type ProtocolError, Refusal } from './protocol-error.ts';
import { parseRequest } from './request-parser.ts';

const LIMITS = { maxTarget: 8192, maxFields: 100 };

function parse(text: string, pieces = 1): { result: ReturnType<typeof parseRequest>; head: Head } {
  const head = new Head();
  const bytes = Buffer.from(text, 'latin1');
  let result: ReturnType<typeof parseRequest> = MORE;
  const size = pieces === 1 ? bytes.length : Math.max(1, Math.ceil(bytes.length / pieces));
  for (let at = 0; at < bytes.length && result === MORE; at += size) {
    let start = at;
    const end = Math.min(bytes.length, at + size);
    while (start < end) {
      start += head.append(bytes, start, end);
      result = parseRequest(head, LIMITS);
      if (result !== MORE) break;
      if (head.filled === head.bytes.length && !head.grow(32768)) break;
    }
  }
  return { result, head };
}

const get = (...fields: string[]) => ['GET / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n');

/** The fact list of raw requests: what must be refused, and with which status. */
const REFUSED: [name: string, text: string, refusal: ProtocolError][] = [
  [
    'Content-Length with Transfer-Encoding',
    get('Content-Length: 4', 'Transfer-Encoding: chunked'),
    Refusal.LengthAndCoding,
  ],
  [
    'Transfer-Encoding with Content-Length',
    get('Transfer-Encoding: chunked', 'Content-Length: 4'),
    Refusal.LengthAndCoding,
  ],
  ['two different lengths', get('Content-Length: 4', 'Content-Length: 5'), Refusal.ContentLength],
  ['two equal lengths', get('Content-Length: 5', 'Content-Length: 5'), Refusal.ContentLength],
  ...[
    '5, 6',
    '5, 5',
    '-1',
    '+5',
    '0x5',
    '5.0',
    '',
    '18446744073709551621',
    '\x0b5',
    '\xa05',
    'abc',
    '5 5',
  ].map((length): [string, string, ProtocolError] => [
    `a length of ${JSON.stringify(length)}`,
    get(`Content-Length: ${length}`),
    length.startsWith('\x0b') ? Refusal.FieldValue : Refusal.ContentLength,
  ]),
  ...[
    'chunked, gzip',
    'xchunked',
    'chunked;q=1',
    '"chunked"',
    'gzip, chunked',
    'identity',
    '',
    'chunked, chunked',
    '\xe9chunked',
  ].map((coding): [string, string, ProtocolError] => [
    `a coding of ${JSON.stringify(coding)}`,
    get(`Transfer-Encoding: ${coding}`),
    Refusal.TransferCoding,
  ]),
  ['a coding with VT', get('Transfer-Encoding: \x0bchunked'), Refusal.FieldValue],
  ['a coding with NUL', get('Transfer-Encoding: chunked\0'), Refusal.FieldValue],
  [
    'chunked twice',
    get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
    Refusal.ManyTransferCodings,
  ],
  [
    'chunked in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    Refusal.CodingInHttp10,
  ],
  ['a space before the colon', get('Transfer-Encoding : chunked'), Refusal.FieldName],
  ['a tab before the colon', get('Content-Length\t: 5'), Refusal.FieldName],
  ['a line with a leading space', get(' Content-Length: 5'), Refusal.FieldName],
  ['obs-fold', get('X-A: 1', '\tb'), Refusal.FieldName],
  [
    'an underscore for a hyphen in a framing field',
    get('Transfer_Encoding: chunked'),
    Refusal.UnderscoreName,
  ],
  ['an underscore in a length', get('Content_Length: 4'), Refusal.UnderscoreName],
  ['an underscore in an identity field', get('X_Consumer_Username: root'), Refusal.UnderscoreName],
  ['bare LF line ends', 'GET / HTTP/1.1\nHost: a\n\n', Refusal.LineEnd],
  ['a bare LF after a field', 'GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n', Refusal.LineEnd],
  ['a bare CR in a value', get('X: a\rb'), Refusal.LineEnd],
  ['a bare LF in a value', get('X: a\nb'), Refusal.LineEnd],
  ['NUL in a value', get('X: a\0b'), Refusal.FieldValue],
  ['DEL in a value', get('X: a\x7fb'), Refusal.FieldValue],
  ['no colon', get('XA'), Refusal.LineEnd],
  ['an empty name', get(': a'), Refusal.FieldName],
  ['a name that is no token', get('X(A): a'), Refusal.FieldName],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', Refusal.NoHost],
  ['two Hosts', get('Host: b'), Refusal.ManyHosts],
  ['two equal Hosts', get('Host: a'), Refusal.ManyHosts],
  ...[
    'a b',
    'a, b',
    'u@a',
    'a/b',
    'a?b',
    'a#b',
    'a\\b',
    '<a>',
    'a:',
    'a:0',
    'a:65536',
    'a:8x',
    ':80',
    '',
    '[::1',
    '[]',
    '[::1]x',
  ].map((host): [string, string, ProtocolError] => [
    `a Host of ${JSON.stringify(host)}`,
    `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    Refusal.Host,
  ]),
  ['a Host with NUL', 'GET / HTTP/1.1\r\nHost: a\0\r\n\r\n', Refusal.FieldValue],
  ['userinfo in an absolute target', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Host],
  ['another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['a bad Host beside an absolute target', 'GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n', Refusal.Host],
  ['an asterisk with GET', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.MethodNotAllowed],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.MethodNotAllowed],
  ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Method],
  ...['HTTP/2.0', 'HTTP/9.9', 'HTTP/1.10', 'HTTP/0.9', 'http/1.1', 'HTTP/1.2', 'HTTP/1.1 ', 'XTTP/1.1'].map(
    (version): [string, string, ProtocolError] => [
      `version ${JSON.stringify(version)}`,
      `GET / ${version}\r\nHost: a\r\n\r\n`,
      Refusal.Version,
    ],
  ),
  ['no version', 'GET /\r\nHost: a\r\n\r\n', Refusal.Target],
  ['a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Version],
  ['a control byte in the target', 'GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['NUL in the target', 'GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['a raw byte beyond ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', Refusal.Target],
  ['another expectation', get('Expect: 200-ok'), Refusal.Expectation],
  [
    'a target that is too long',
    `GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    Refusal.TargetTooLong,
  ],
  ['too many fields', get(...Array.from({ length: 100 }, (_, i) => `X-${i}: 1`)), Refusal.TooManyFields],
];

for (const [name, text, refusal] of REFUSED) {
  test(`refuses ${name}`, () => {
    assert.equal(parse(text).result, refusal, 'whole');
    assert.equal(parse(text, text.length).result, refusal, 'byte by byte');
  });
}

const ACCEPTED: [name: string, text: string, check: (head: Head) => void][] = [
  ['a bare request', get(), (head) => assert.equal(head.text(head.hostStart, head.hostEnd), 'a')],
  ['a length', get('Content-Length: 5'), (head) => assert.equal(head.contentLength, 5)],
  [
    'a length with white space around',
    get('Content-Length:\t 5 \t'),
    (head) => assert.equal(head.contentLength, 5),
  ],
  ['chunked in any case', get('Transfer-Encoding: ChunKed'), (head) => assert.equal(head.chunked, true)],
  [
    'one empty line before',
    `\r\n${get()}`,
    (head) => assert.equal(head.text(head.methodStart, head.methodEnd), 'GET'),
  ],
  [
    'an underscore in any other name',
    get('X_Under: 1'),
    (head) => assert.equal(head.valueAt(head.find('x_under')), '1'),
  ],
  ['bytes beyond ASCII in a value', get('X: \xe9'), (head) => assert.equal(head.valueAt(1), '\xe9')],
  ['an empty value', get('X:'), (head) => assert.equal(head.valueAt(1), '')],
  [
    'an IPv6 host with port',
    'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
    (head) => assert.equal(head.text(head.hostStart, head.hostEnd), '[::1]'),
  ],
  ['HTTP/1.0 without Host', 'GET / HTTP/1.0\r\n\r\n', (head) => assert.equal(head.hostStart, -1)],
  [
    'an asterisk with OPTIONS',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => assert.equal(head.text(head.pathStart, head.pathEnd), '*'),
  ],
  [
    'an absolute target, whose authority counts',
    'GET http://h.example:81/p?q HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => {
      assert.equal(head.text(head.hostStart, head.hostEnd), 'h.example');
      assert.equal(head.text(head.hostStart, head.authorityEnd), 'h.example:81');
      assert.equal(head.text(head.pathStart, head.pathEnd), '/p');
    },
  ],
  [
    'the options of Connection',
    get('Connection: keep-alive, X-Hop', 'X-Hop: 1'),
    (head) => assert.deepEqual([head.keepAlive, head.connectionOptions], [true, 1]),
  ],
  [
    'a path that needs care',
    'GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => assert.equal(head.pathNeedsCare, true),
  ],
  [
    'a plain path',
    'GET /a/b.c?d=//%41 HTTP/1.1\r\nHost: a\r\n\r\n',
    (head) => assert.equal(head.text(head.pathStart, head.pathEnd), '/a/b.c'),
  ],
  [
    'a head larger than the first buffer',
    get(`X: ${'v'.repeat(20000)}`),
    (head) => assert.equal(head.valueAt(1).length, 20000),
  ],
];

for (const [name, text, check] of ACCEPTED) {
  test(`takes ${name}`, () => {
    for (const pieces of [1, 2, 3, 7, text.length]) {
      const { result, head } = parse(`${text}rest`, pieces);
      assert.equal(result, COMPLETE, `in ${pieces} pieces`);
      assert.equal(head.length, text.length);
      check(head);
    }
  });
}

test('asks for more until the last byte is there', () => {
  const text = get('X-A: 1');
  for (let length = 0; length < text.length; length++) {
    const { result } = parse(text.slice(0, length));
    assert.equal(result, MORE, JSON.stringify(text.slice(0, length)));
  }
});

test('does not look at a byte twice when a head comes byte by byte', () => {
  const head = new Head();
  const bytes = Buffer.from(get(`X: ${'v'.repeat(3000)}`), 'latin1');
  for (let i = 0; i < bytes.length; i++) {
    head.append(bytes, i, i + 1);
    parseRequest(head, LIMITS);
    assert.ok(head.filled - head.position <= 1, `at byte ${i}`);
  }
  assert.equal(head.length, bytes.length);
});
