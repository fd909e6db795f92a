// Our parsers against llhttp, the parser of Node.js, on mutated messages: what we take, llhttp in its
// strict mode must take too, and read the same. We may be stricter, never more lenient.
//
// Known differences that are not ours to follow:
// - llhttp knows a fixed list of methods; any other in capitals is fine with us.
// - llhttp reads a body after an interim response that has a length; there is none (RFC 9112 6.3).
// - llhttp refuses a tab after the value of a framing field; it is white space like any other
//   (RFC 9110 5.5), and we write these fields anew anyway.
// A seed that failed is printed; run it again with FUZZ_SEED, and longer with FUZZ_ROUNDS.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { CR, HTAB } from './characters.ts';
import { CHUNK_BAD, ChunkedScanner } from './chunked.ts';
import { COMPLETE, MORE, type ParseResult } from './field-parser.ts';
import { Head } from './head.ts';
import { Known } from './known-header.ts';
import { parseRequest } from './request-parser.ts';
import { parseResponse } from './response-parser.ts';

const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121);
const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 15_000);

// The oracle.

interface Reading {
  error: number;
  errorName: string;
  method: number;
  target: string;
  status: number;
  minor: number;
  fields: [string, string][];
  headComplete: boolean;
  body: string;
  complete: boolean;
  /** Where the message ended. */
  end: number;
}

/** What we use of WebAssembly, which the types of Node leave out. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}
const wasm = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer };
  malloc(size: number): number;
  llhttp_alloc(type: number): number;
  llhttp_reset(parser: number): void;
  llhttp_execute(parser: number, start: number, length: number): number;
  llhttp_get_error_pos(parser: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_get_status_code(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
}

const require = createRequire(import.meta.url);
const constants = require('undici/lib/llhttp/constants.js') as {
  ERROR: Record<string, number>;
  METHODS: Record<string, number>;
};
const ERROR_NAMES = Object.fromEntries(
  Object.entries(constants.ERROR).map(([name, number]) => [number, name]),
);
const PAUSED = constants.ERROR.PAUSED;
const PAUSED_UPGRADE = constants.ERROR.PAUSED_UPGRADE;
const AREA = 64 * 1024;

let reading: Reading;
let inValue = false;
const textAt = (at: number, length: number) => Buffer.from(llhttp.memory.buffer, at, length).latin1Slice();

const llhttp = new wasm.Instance(new wasm.Module(require('undici/lib/llhttp/llhttp-wasm.js') as Buffer), {
  env: {
    wasm_on_message_begin: () => 0,
    wasm_on_url(_parser: number, at: number, length: number) {
      reading.target += textAt(at, length);
      return 0;
    },
    wasm_on_status: () => 0,
    wasm_on_header_field(_parser: number, at: number, length: number) {
      if (reading.headComplete) return 0; // a trailer
      if (reading.fields.length === 0 || inValue) reading.fields.push(['', '']);
      inValue = false;
      reading.fields.at(-1)![0] += textAt(at, length);
      return 0;
    },
    wasm_on_header_value(_parser: number, at: number, length: number) {
      if (reading.headComplete) return 0;
      inValue = true;
      reading.fields.at(-1)![1] += textAt(at, length);
      return 0;
    },
    wasm_on_headers_complete(parser: number) {
      reading.headComplete = true;
      reading.method = llhttp.llhttp_get_method(parser);
      reading.status = llhttp.llhttp_get_status_code(parser);
      reading.minor = llhttp.llhttp_get_http_minor(parser);
      return 0;
    },
    wasm_on_body(_parser: number, at: number, length: number) {
      reading.body += textAt(at, length);
      return 0;
    },
    wasm_on_message_complete() {
      reading.complete = true;
      return PAUSED;
    },
  },
}).exports as Llhttp;

const area = llhttp.malloc(AREA);
const parsers = { request: llhttp.llhttp_alloc(1), response: llhttp.llhttp_alloc(2) };

function consult(kind: 'request' | 'response', message: Buffer): Reading {
  assert.ok(message.length < AREA);
  reading = {
    error: 0,
    errorName: '',
    method: -1,
    target: '',
    status: 0,
    minor: -1,
    fields: [],
    headComplete: false,
    body: '',
    complete: false,
    end: message.length,
  };
  inValue = false;
  new Uint8Array(llhttp.memory.buffer).set(message, area);
  const parser = parsers[kind];
  llhttp.llhttp_reset(parser);
  const result = llhttp.llhttp_execute(parser, area, message.length);
  if (result === PAUSED || result === PAUSED_UPGRADE) {
    reading.end = llhttp.llhttp_get_error_pos(parser) - area;
  } else if (result !== 0) {
    reading.error = result;
    reading.errorName = ERROR_NAMES[result];
  }
  return reading;
}

// Ours.

const LIMITS = { maxTarget: 120, maxFields: 12 };

interface OurReading {
  verdict: ParseResult;
  head: Head;
  /** The body's state: -1 more, -2 bad, else the offset after it; undefined when it lasts to the end. */
  body: number | undefined;
  data: string;
}

function read(kind: 'request' | 'response', message: Buffer, sliceSize: () => number): OurReading {
  const head = new Head();
  let verdict: ParseResult = MORE;
  let at = 0;
  while (verdict === MORE && at < message.length) {
    const end = Math.min(message.length, at + Math.max(1, sliceSize()));
    while (verdict === MORE && at < end) {
      at += head.append(message, at, end);
      verdict = kind === 'request' ? parseRequest(head, LIMITS) : parseResponse(head);
      if (verdict === MORE && head.filled === head.bytes.length) assert.ok(head.grow(AREA));
    }
  }
  const result: OurReading = { verdict, head, body: undefined, data: '' };
  if (verdict !== COMPLETE) return result;
  at = head.length;
  const bodiless = kind === 'response' && (head.status < 200 || head.status === 204 || head.status === 304);
  if (bodiless || (kind === 'request' && !head.chunked && head.contentLength <= 0)) result.body = at;
  else if (head.chunked) {
    const scanner = new ChunkedScanner();
    scanner.sink = {
      onChunkData(bytes, start, end) {
        result.data += Buffer.from(bytes.subarray(start, end)).latin1Slice();
      },
    };
    let offset = -1;
    while (offset === -1 && at < message.length) {
      const end = Math.min(message.length, at + Math.max(1, sliceSize()));
      offset = scanner.scan(message, at, end);
      at = end;
    }
    result.body = offset;
  } else if (head.contentLength >= 0) {
    const end = head.length + head.contentLength;
    result.data = message.latin1Slice(head.length, Math.min(end, message.length));
    result.body = end <= message.length ? end : -1;
  } else result.data = message.latin1Slice(head.length);
  return result;
}

function described({ verdict, head, body, data }: OurReading): unknown {
  if (typeof verdict !== 'number') return verdict.reason;
  const { methodStart, methodEnd, targetStart, targetEnd, pathStart, pathEnd, pathNeedsCare } = head;
  return {
    verdict,
    body,
    data,
    ...(verdict === COMPLETE && {
      length: head.length,
      request: [methodStart, methodEnd, targetStart, targetEnd, pathStart, pathEnd, pathNeedsCare],
      host: [head.hostStart, head.hostEnd, head.authorityEnd, head.hosts],
      status: [head.status, head.statusStart, head.startLineEnd, head.minorVersion],
      framing: [head.contentLength, head.chunked],
      connection: [head.close, head.keepAlive, head.upgrade, head.expectContinue, head.connectionOptions],
      fields: fieldsOf(head),
      known: [...head.known.subarray(0, head.count)],
    }),
  };
}

function fieldsOf(head: Head): [string, string][] {
  return Array.from({ length: head.count }, (_, i) => [head.nameAt(i), head.valueAt(i)]);
}

// Mutation.

function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const FIELD_LINES = [
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 007',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip',
  'Connection: close',
  'Connection: keep-alive, X-A',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'X-A: b',
  'X-A:',
  'X-A:\t b \t',
  'X-A: \xe9\xff',
  'Cookie: a=b; c="d"',
  'Accept: */*',
  'User-Agent: x/1 (y; z)',
  'TE: trailers',
  'Host: a.example:80',
  'Host: [::1]',
  'transfer-encoding:chunked',
  'CONTENT-LENGTH:5',
  'Trailer: X-T',
  'Date: now',
];
const PIECES = [
  ...FIELD_LINES,
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  '\r\n ',
  '\r\n\t',
  ': ',
  ' :',
  ':',
  ',',
  ';',
  '"',
  '\\',
  '\0',
  '\x0b',
  '\x0c',
  '\x7f',
  '\x80',
  '\xff',
  ' ',
  '\t',
  '  ',
  '0',
  '00',
  '5',
  'a',
  'A',
  'ff',
  '0x',
  '+',
  '-',
  '_',
  '*',
  '/',
  '//',
  '/../',
  '%2e',
  '%',
  '?',
  '#',
  '@',
  '[',
  ']',
  '{',
  '|',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'http://',
  'https://h',
  'ftp://x/',
  'chunked',
  'identity',
  'gzip, chunked',
  'chunked, chunked',
  'GET',
  'POST',
  'HEAD',
  'OPTIONS',
  'PUT',
  'DELETE',
  '\r\n0\r\n\r\n',
  '5\r\nabcde\r\n',
  '3;a=b\r\nabc\r\n',
  '3;a="b c"\r\nabc\r\n',
  '0\r\nX-T: 1\r\n\r\n',
  '1;a\r\n',
  '99999999999999999999',
];
const START_LINES = {
  request: [
    'GET / HTTP/1.1',
    'POST /a/b?c=d HTTP/1.1',
    'GET http://h.example/p HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'PUT /%41//x/../y HTTP/1.1',
    'HEAD / HTTP/1.0',
    'DELETE /a.b;c=d HTTP/1.1',
    '\r\nGET / HTTP/1.1',
    'PATCH /x HTTP/1.1',
    'PURGE /x HTTP/1.1',
  ],
  response: [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 500 ',
    'HTTP/1.1 404',
    'HTTP/1.1 103 Early Hints',
    'HTTP/1.1 200 \xe9t\xe9',
  ],
} as const;
const BODIES = [
  '',
  '',
  'abcde',
  'abcdefg',
  '0\r\n\r\n',
  '5\r\nabcde\r\n0\r\n\r\n',
  'A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n',
  '5;a=b;c="d\\"e";f\r\nabcde\r\n00\r\nX-T: 1\r\nX-U:\r\n\r\n',
  '0005\r\nabcde\r\n000;x\r\n\r\n',
  '5\r\nabcde\r\n0\r\nHost: a\r\n\r\n',
];

const pickOf =
  (random: () => number) =>
  <T>(list: readonly T[]): T =>
    list[Math.floor(random() * list.length)];

function compose(kind: 'request' | 'response', random: () => number): string {
  const pick = pickOf(random);
  const lines: string[] = [pick<string>(START_LINES[kind])];
  if (kind === 'request' && random() < 0.9) lines.push('Host: a');
  const body = pick(BODIES);
  const chunked = /^[0-9A-F]+[\r;]/.test(body);
  if (random() < 0.9 && body !== '') lines.push(chunked ? 'Transfer-Encoding: chunked' : 'Content-Length: 5');
  for (let count = Math.floor(random() * 3); count > 0; count--) lines.push(pick(FIELD_LINES));
  return `${lines.join('\r\n')}\r\n\r\n${body}${random() < 0.2 ? 'GET / HTTP/1.1\r\n' : ''}`;
}

function mutate(message: string, random: () => number): string {
  const pick = pickOf(random);
  let text = message;
  for (let count = Math.floor(random() * 4); count > 0; count--) {
    const at = Math.floor(random() * (text.length + 1));
    const length = Math.floor(random() * 4);
    switch (Math.floor(random() * 6)) {
      case 0:
        text = text.slice(0, at) + pick(PIECES) + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + length);
        break;
      case 2:
        text = text.slice(0, at) + String.fromCharCode(Math.floor(random() * 256)) + text.slice(at + 1);
        break;
      case 3:
        text = text.slice(0, at) + pick(PIECES) + text.slice(at + length);
        break;
      case 4: {
        const lines = text.split('\r\n');
        lines.splice(Math.floor(random() * lines.length), Math.floor(random() * 2), pick(FIELD_LINES));
        text = lines.join('\r\n');
        break;
      }
      default:
        text = text.slice(0, at) + text.slice(at, at + 8) + text.slice(at);
    }
  }
  return text;
}

const METHODS = new Map(Object.entries(constants.METHODS).map(([name, number]) => [number, name]));

function tabAfterFraming(head: Head): boolean {
  for (let i = 0; i < head.count; i++) {
    if (head.known[i] !== Known.ContentLength && head.known[i] !== Known.TransferEncoding) continue;
    const lineEnd = head.bytes.indexOf(CR, head.valueEnd[i]);
    if (head.bytes.subarray(head.valueEnd[i], lineEnd).includes(HTAB)) return true;
  }
  return false;
}

/** Fails when we are more lenient than llhttp, or read the same bytes differently. */
function compare(kind: 'request' | 'response', ours: OurReading, theirs: Reading): void {
  const { head, verdict } = ours;
  if (verdict !== COMPLETE) return;
  if (tabAfterFraming(head)) return;
  const method = head.text(head.methodStart, head.methodEnd);
  if (kind === 'request' && !(method in constants.METHODS)) {
    assert.equal(theirs.errorName, 'INVALID_METHOD');
    return;
  }
  assert.ok(theirs.headComplete, `llhttp refuses the head: ${theirs.errorName}`);
  if (kind === 'request') {
    assert.equal(METHODS.get(theirs.method), method);
    assert.equal(theirs.target, head.text(head.targetStart, head.targetEnd));
  } else assert.equal(theirs.status, head.status);
  assert.equal(theirs.minor, head.minorVersion);
  assert.deepEqual(
    fieldsOf(head),
    theirs.fields.map(([name, value]) => [name, value.replace(/^[ \t]+|[ \t]+$/g, '')]),
  );
  if (ours.body === CHUNK_BAD || (kind === 'response' && head.status < 200)) return;
  assert.equal(theirs.error, 0, `llhttp refuses the body: ${theirs.errorName}`);
  assert.equal(theirs.body, ours.data);
  if (ours.body !== undefined) {
    assert.equal(theirs.complete, ours.body >= 0, 'one is complete and the other is not');
    if (ours.body >= 0) assert.equal(theirs.end, ours.body, 'the message ends elsewhere');
  }
}

for (const kind of ['request', 'response'] as const) {
  test(`never takes a ${kind} that llhttp refuses or reads otherwise, in whatever pieces it comes`, () => {
    let taken = 0;
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED + round;
      const random = randomFrom(seed);
      const text = mutate(compose(kind, random), random);
      const message = Buffer.from(text, 'latin1');
      const whole = read(kind, message, () => message.length);
      const largest = random() < 0.3 ? 1 : 12;
      const sliced = read(kind, message, () => Math.ceil(random() * largest));
      try {
        assert.deepEqual(described(sliced), described(whole), 'pieces');
        compare(kind, whole, consult(kind, message));
      } catch (error) {
        throw new Error(
          `FUZZ_SEED=${seed} FUZZ_ROUNDS=1: ${JSON.stringify(text)}: ${(error as Error).message}`,
        );
      }
      if (whole.verdict === COMPLETE && whole.body !== CHUNK_BAD) taken++;
      else if (whole.verdict !== MORE) refused++;
    }
    // The corpus must reach both sides, or it proves nothing.
    if (ROUNDS > 1000) {
      assert.ok(taken > ROUNDS / 10, `${taken} taken`);
      assert.ok(refused > ROUNDS / 10, `${refused} refused`);
    }
  });
}
