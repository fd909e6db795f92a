// The binary form of one ended Exchange, as it crosses from a worker to the telemetry thread.
//
// Numbers are in the byte order of the machine, since writer and reader share its memory. Words that
// come from the configuration are not repeated in each record: the writer numbers them, says once
// what a number means (see `state/memory/record-ring.ts`), and records hold the number.
//
//     0  u32  length of the whole record in bytes, a multiple of 8
//     4  u32  where in the ring's count of bytes it begins, which the reader checks
//     8  u8   kind    9 u8 flags    10 u8 protocol        11 u8 attempts, 255 for more
//    12  u16  status 14 u16 the Upstream's status
//    16  f64  startedAt, Unix milliseconds
//    24  f64  durationMs
//    32  f64  upstreamMs
//    40  f64  bytesIn
//    48  f64  bytesOut
//    56  f64  revision
//    64  u32  number of the Route's labels     68 u32 Consumer   72 u32 Target   76 u32 reason
//    80  u16  lengths of request id, client address, method, target, host, user agent (6 ×)
//    92  u8   cache status    93 3 bytes unused
//    96  the six texts, latin1, one after the other

import type { ExchangeEnd, StreamScheme } from './exchange-end.ts';

export const RECORD_KIND = { padding: 0, exchange: 1, routeLabels: 2, text: 3 } as const;

/** Bytes before the texts of an Exchange's record. */
export const RECORD_FIXED_BYTES = 96;

/** Longest texts in bytes; what is longer is cut and, for target, host and user agent, flagged. */
export const TEXT_CAPS = {
  requestId: 64,
  clientAddress: 64,
  method: 32,
  target: 2048,
  host: 255,
  userAgent: 512,
} as const;

/** No record is longer. */
export const RECORD_MAX_BYTES = align(
  RECORD_FIXED_BYTES + Object.values(TEXT_CAPS).reduce((sum, cap) => sum + cap, 0),
);

const FLAG = {
  upstreamSource: 1,
  https: 2,
  metrics: 4,
  preferName: 8,
  targetCut: 16,
  hostCut: 32,
  userAgentCut: 64,
} as const;

const HTTP_VERSIONS = ['1.1', '1.0', '2'];
/** Their numbers follow those of HTTP. */
const STREAM_SCHEMES: readonly StreamScheme[] = ['tcp', 'tls', 'udp'];

/** By number in a record; the first is none. */
export const CACHE_STATUSES = [
  '',
  'hit',
  'miss',
  'expired',
  'stale',
  'revalidated',
  'updating',
  'bypass',
] as const;

/** A Buffer with the method behind `write(…, 'latin1')`, which @types/node leaves out; half the cost for short texts. */
export type Latin1Buffer = Buffer & { latin1Write(text: string, at: number, length: number): number };

/** One stretch of memory under the types that records need. All views begin at the same byte, a multiple of 8. */
export interface RecordMemory {
  readonly bytes: Latin1Buffer;
  readonly shorts: Uint16Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
}

export function recordMemory(buffer: ArrayBufferLike, byteOffset: number, byteLength: number): RecordMemory {
  return {
    bytes: Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength) as Latin1Buffer,
    shorts: new Uint16Array(buffer, byteOffset, byteLength / 2),
    words: new Uint32Array(buffer, byteOffset, byteLength / 4),
    doubles: new Float64Array(buffer, byteOffset, byteLength / 8),
  };
}

export function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** The words of an Exchange that only change with the configuration, as numbered by the writer. */
export interface RecordNumbers {
  labels: number;
  consumer: number;
  target: number;
  reason: number;
}

/** The bytes that `encodeRecord` will write; `detail` false leaves out what the client sent. */
export function recordLength(end: ExchangeEnd, detail: boolean): number {
  if (!detail) return RECORD_FIXED_BYTES;
  return align(
    RECORD_FIXED_BYTES +
      Math.min(end.requestId.length, TEXT_CAPS.requestId) +
      Math.min(end.clientAddress.length, TEXT_CAPS.clientAddress) +
      rangeLength(end.methodStart, end.methodEnd, TEXT_CAPS.method) +
      rangeLength(end.targetStart, end.targetEnd, TEXT_CAPS.target) +
      rangeLength(end.hostStart, end.hostEnd, TEXT_CAPS.host) +
      rangeLength(end.userAgentStart, end.userAgentEnd, TEXT_CAPS.userAgent),
  );
}

/** Writes an Exchange at byte `at` (a multiple of 8), where `length` bytes from `recordLength` are free. Its first 8 bytes are the ring's to write. */
export function encodeRecord(
  memory: RecordMemory,
  at: number,
  end: ExchangeEnd,
  numbers: RecordNumbers,
  detail: boolean,
): void {
  const { bytes, shorts, words, doubles } = memory;
  let flags =
    (end.source === 'upstream' ? FLAG.upstreamSource : 0) |
    (end.scheme === 'https' ? FLAG.https : 0) |
    (end.metrics ? FLAG.metrics : 0) |
    (end.preferName ? FLAG.preferName : 0);
  bytes[at + 8] = RECORD_KIND.exchange;
  bytes[at + 10] = end.httpVersion === '1.1' ? 0 : protocolNumber(end);
  bytes[at + 11] = Math.min(end.attempts, 255);
  bytes[at + 92] = end.cacheStatus === '' ? 0 : CACHE_STATUSES.indexOf(end.cacheStatus as 'hit');
  shorts[(at + 12) >> 1] = end.status;
  shorts[(at + 14) >> 1] = end.upstreamStatus;
  const double = at >> 3;
  doubles[double + 2] = end.startedAt;
  doubles[double + 3] = end.durationMs;
  doubles[double + 4] = end.upstreamMs;
  doubles[double + 5] = end.bytesIn;
  doubles[double + 6] = end.bytesOut;
  doubles[double + 7] = end.revision;
  const word = at >> 2;
  words[word + 16] = numbers.labels;
  words[word + 17] = numbers.consumer;
  words[word + 18] = numbers.target;
  words[word + 19] = numbers.reason;

  const lengths = (at + 80) >> 1;
  if (!detail) {
    for (let text = 0; text < 6; text++) shorts[lengths + text] = 0;
    bytes[at + 9] = flags;
    return;
  }
  let position = at + RECORD_FIXED_BYTES;
  let length = Math.min(end.requestId.length, TEXT_CAPS.requestId);
  if (length > 0) bytes.latin1Write(end.requestId, position, length);
  shorts[lengths] = length;
  position += length;

  length = Math.min(end.clientAddress.length, TEXT_CAPS.clientAddress);
  if (length > 0) bytes.latin1Write(end.clientAddress, position, length);
  shorts[lengths + 1] = length;
  position += length;

  length = rangeLength(end.methodStart, end.methodEnd, TEXT_CAPS.method);
  copyRange(bytes, position, end.head, end.methodStart, length);
  shorts[lengths + 2] = length;
  position += length;

  length = rangeLength(end.targetStart, end.targetEnd, TEXT_CAPS.target);
  copyRange(bytes, position, end.head, end.targetStart, length);
  shorts[lengths + 3] = length;
  position += length;
  if (end.targetEnd - end.targetStart > length) flags |= FLAG.targetCut;

  length = rangeLength(end.hostStart, end.hostEnd, TEXT_CAPS.host);
  copyRange(bytes, position, end.head, end.hostStart, length);
  shorts[lengths + 4] = length;
  position += length;
  if (end.hostEnd - end.hostStart > length) flags |= FLAG.hostCut;

  length = rangeLength(end.userAgentStart, end.userAgentEnd, TEXT_CAPS.userAgent);
  copyRange(bytes, position, end.head, end.userAgentStart, length);
  shorts[lengths + 5] = length;
  if (end.userAgentEnd - end.userAgentStart > length) flags |= FLAG.userAgentCut;
  bytes[at + 9] = flags;
}

/**
 * A decoded record. One object is filled again and again, and its texts are ranges of the ring's own
 * `bytes`: both are valid only until the callback that got them returns.
 *
 * `L` and `T` are what the reader made of a Route's labels and of a word when it learned them.
 */
export interface ExchangeRecord<L, T> {
  startedAt: number;
  durationMs: number;
  /** -1 when no Upstream was asked. */
  upstreamMs: number;
  status: number;
  /** 0 when there was none. */
  upstreamStatus: number;
  upstreamSource: boolean;
  /** A number of CACHE_STATUSES. */
  cacheStatus: number;
  https: boolean;
  metrics: boolean;
  preferName: boolean;
  /** Up to 255. */
  attempts: number;
  bytesIn: number;
  bytesOut: number;
  revision: number;
  /** Empty for a stream. */
  httpVersion: string;
  /** Empty for HTTP. */
  stream: StreamScheme | '';
  labels: L;
  consumer: T;
  target: T;
  reason: T;
  bytes: Uint8Array;
  /** Texts lie one after the other: request id, client address, method, target, host, user agent. Each ends where the next begins. */
  requestIdStart: number;
  clientAddressStart: number;
  methodStart: number;
  targetStart: number;
  hostStart: number;
  userAgentStart: number;
  userAgentEnd: number;
  targetCut: boolean;
  hostCut: boolean;
  userAgentCut: boolean;
}

/** Reads the record at byte `at` into `record`, except the four numbered words, which are given to `numbers`. False when its lengths don't fit it. */
export function decodeRecord<L, T>(
  memory: RecordMemory,
  at: number,
  record: ExchangeRecord<L, T>,
  numbers: RecordNumbers,
): boolean {
  const { bytes, shorts, words, doubles } = memory;
  const flags = bytes[at + 9];
  record.upstreamSource = (flags & FLAG.upstreamSource) !== 0;
  record.https = (flags & FLAG.https) !== 0;
  record.metrics = (flags & FLAG.metrics) !== 0;
  record.preferName = (flags & FLAG.preferName) !== 0;
  record.targetCut = (flags & FLAG.targetCut) !== 0;
  record.hostCut = (flags & FLAG.hostCut) !== 0;
  record.userAgentCut = (flags & FLAG.userAgentCut) !== 0;
  const protocol = bytes[at + 10];
  record.httpVersion = HTTP_VERSIONS[protocol] ?? '';
  record.stream =
    protocol < HTTP_VERSIONS.length ? '' : (STREAM_SCHEMES[protocol - HTTP_VERSIONS.length] ?? '');
  record.attempts = bytes[at + 11];
  record.cacheStatus = bytes[at + 92];
  record.status = shorts[(at + 12) >> 1];
  record.upstreamStatus = shorts[(at + 14) >> 1];
  const double = at >> 3;
  record.startedAt = doubles[double + 2];
  record.durationMs = doubles[double + 3];
  record.upstreamMs = doubles[double + 4];
  record.bytesIn = doubles[double + 5];
  record.bytesOut = doubles[double + 6];
  record.revision = doubles[double + 7];
  const word = at >> 2;
  numbers.labels = words[word + 16];
  numbers.consumer = words[word + 17];
  numbers.target = words[word + 18];
  numbers.reason = words[word + 19];
  const lengths = (at + 80) >> 1;
  record.bytes = bytes;
  record.requestIdStart = at + RECORD_FIXED_BYTES;
  record.clientAddressStart = record.requestIdStart + shorts[lengths];
  record.methodStart = record.clientAddressStart + shorts[lengths + 1];
  record.targetStart = record.methodStart + shorts[lengths + 2];
  record.hostStart = record.targetStart + shorts[lengths + 3];
  record.userAgentStart = record.hostStart + shorts[lengths + 4];
  record.userAgentEnd = record.userAgentStart + shorts[lengths + 5];
  return record.userAgentEnd <= at + words[word];
}

/** A record to decode into, with stand-ins for what it has not learned yet. */
export function emptyRecord<L, T>(labels: L, text: T): ExchangeRecord<L, T> {
  return {
    startedAt: 0,
    durationMs: 0.5,
    upstreamMs: 0.5,
    status: 0,
    upstreamStatus: 0,
    upstreamSource: false,
    cacheStatus: 0,
    https: false,
    metrics: false,
    preferName: false,
    attempts: 0,
    bytesIn: 0.5,
    bytesOut: 0.5,
    revision: 0.5,
    httpVersion: '',
    stream: '',
    labels,
    consumer: text,
    target: text,
    reason: text,
    bytes: new Uint8Array(0),
    requestIdStart: 0,
    clientAddressStart: 0,
    methodStart: 0,
    targetStart: 0,
    hostStart: 0,
    userAgentStart: 0,
    userAgentEnd: 0,
    targetCut: false,
    hostCut: false,
    userAgentCut: false,
  };
}

function protocolNumber({ httpVersion, scheme }: ExchangeEnd): number {
  if (scheme === 'http' || scheme === 'https') return httpVersion === '1.0' ? 1 : 2;
  return HTTP_VERSIONS.length + STREAM_SCHEMES.indexOf(scheme);
}

/** An absent range is -1 to -1; a broken one, end before start, is taken as absent. */
function rangeLength(start: number, end: number, cap: number): number {
  return start < 0 || end <= start ? 0 : Math.min(end - start, cap);
}

/** Buffer's copy costs about 30 ns whatever the length, which a loop undercuts for short texts. */
function copyRange(bytes: Buffer, at: number, head: Uint8Array, start: number, length: number): void {
  if (length <= 24 || start + length > head.length) {
    for (let index = 0; index < length; index++) bytes[at + index] = head[start + index];
  } else {
    Buffer.prototype.copy.call(head, bytes, at, start, start + length);
  }
}
