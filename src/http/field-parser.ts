import { CR, FOLDED, HTAB, LF, SP, TOKEN, VALUE } from './characters.ts';
import { type Head, MAX_FIELDS, MAX_OPTIONS } from './head.ts';
import { Known, knownHeader } from './known-header.ts';
import { type ProtocolError, Refusal } from './protocol-error.ts';

/** States of the field section; the start lines have their own below these numbers. */
export const FieldState = {
  Start: 16,
  Name: 17,
  BeforeValue: 18,
  Value: 19,
  ValueLf: 20,
  EndLf: 21,
} as const;

/** What a parser says when it is not at an end: more bytes are needed. */
export const MORE = 1;
/** The head is complete: `head.length` is its size. */
export const COMPLETE = 2;
export type ParseResult = typeof MORE | typeof COMPLETE | ProtocolError;

/**
 * Parses the field section from `head.position` in state `head.state`. RFC 9112 5, without any of
 * the leniencies it allows: CRLF only, no obs-fold, no space before the colon.
 */
export function parseFields(head: Head, maxFields: number): ParseResult {
  const bytes = head.bytes;
  const end = head.filled;
  let p = head.position;
  let state = head.state;
  for (;;) {
    switch (state) {
      case FieldState.Start: {
        if (p >= end) return more(head, p, state);
        if (bytes[p] === CR) {
          p++;
          state = FieldState.EndLf;
          break;
        }
        if (head.count >= maxFields || head.count >= MAX_FIELDS) return Refusal.TooManyFields;
        head.nameStart[head.count] = p;
        head.hash = 0;
        state = FieldState.Name;
        break;
      }
      case FieldState.Name: {
        let hash = head.hash;
        let byte = 0;
        while (p < end && TOKEN[(byte = bytes[p])] !== 0) {
          hash = (Math.imul(hash, 31) + FOLDED[byte]) | 0;
          p++;
        }
        head.hash = hash;
        if (p >= end) return more(head, p, state);
        const index = head.count;
        if (byte !== 58 || p === head.nameStart[index]) {
          return byte === LF || byte === CR ? Refusal.LineEnd : Refusal.FieldName;
        }
        head.nameEnd[index] = p++;
        head.nameHash[index] = hash;
        const known = knownHeader(bytes, head.nameStart[index], head.nameEnd[index], hash);
        if (known < 0) return Refusal.UnderscoreName;
        head.known[index] = known;
        state = FieldState.BeforeValue;
        break;
      }
      case FieldState.BeforeValue: {
        while (p < end && (bytes[p] === SP || bytes[p] === HTAB)) p++;
        if (p >= end) return more(head, p, state);
        head.valueStart[head.count] = p;
        state = FieldState.Value;
        break;
      }
      case FieldState.Value: {
        while (p < end && VALUE[bytes[p]] === 1) p++;
        if (p >= end) return more(head, p, state);
        if (bytes[p] !== CR) return bytes[p] === LF ? Refusal.LineEnd : Refusal.FieldValue;
        let valueEnd = p;
        const valueStart = head.valueStart[head.count];
        while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB))
          valueEnd--;
        head.valueEnd[head.count] = valueEnd;
        p++;
        state = FieldState.ValueLf;
        break;
      }
      case FieldState.ValueLf: {
        if (p >= end) return more(head, p, state);
        if (bytes[p] !== LF) return Refusal.LineEnd;
        p++;
        const index = head.count++;
        if (head.known[index] !== 0) {
          const refusal = applyMeaning(head, index);
          if (refusal !== undefined) return refusal;
        }
        state = FieldState.Start;
        break;
      }
      default: {
        if (p >= end) return more(head, p, state);
        if (bytes[p] !== LF) return Refusal.LineEnd;
        head.position = head.length = p + 1;
        head.state = state;
        if (head.chunked && head.contentLength >= 0) return Refusal.LengthAndCoding;
        return COMPLETE;
      }
    }
  }
}

export function more(head: Head, position: number, state: number): typeof MORE {
  head.position = position;
  head.state = state;
  return MORE;
}

/** What the fields that the engine acts on mean for framing and for the connection. */
function applyMeaning(head: Head, index: number): ProtocolError | undefined {
  const { bytes } = head;
  const start = head.valueStart[index];
  const end = head.valueEnd[index];
  switch (head.known[index]) {
    case Known.Connection:
      return applyConnection(head, start, end);
    case Known.ContentLength: {
      // 15 digits keep the number exact; no body is larger.
      if (head.contentLength >= 0 || start === end || end - start > 15) return Refusal.ContentLength;
      let length = 0;
      for (let i = start; i < end; i++) {
        const digit = bytes[i] - 48;
        if (digit < 0 || digit > 9) return Refusal.ContentLength;
        length = length * 10 + digit;
      }
      head.contentLength = length;
      return undefined;
    }
    case Known.TransferEncoding:
      if (head.chunked) return Refusal.ManyTransferCodings;
      if (!equalsIgnoringCase(bytes, start, end, CHUNKED)) return Refusal.TransferCoding;
      head.chunked = true;
      return undefined;
    case Known.Host:
      if (head.status !== 0) return undefined; // means nothing in a response
      if (++head.hosts > 1) return Refusal.ManyHosts;
      if (head.hostStart < 0) {
        head.hostStart = start;
        head.authorityEnd = end;
      }
      return undefined;
    case Known.Expect:
      if (head.status !== 0) return undefined;
      if (!equalsIgnoringCase(bytes, start, end, CONTINUE)) return Refusal.Expectation;
      head.expectContinue = true;
      return undefined;
    case Known.UserAgent:
      head.userAgent = index;
      return undefined;
    default:
      return undefined;
  }
}

const CHUNKED = Buffer.from('chunked');
const CONTINUE = Buffer.from('100-continue');
const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const UPGRADE = Buffer.from('upgrade');

function applyConnection(head: Head, start: number, end: number): ProtocolError | undefined {
  const { bytes } = head;
  let p = start;
  while (p < end) {
    let comma = p;
    while (comma < end && bytes[comma] !== 44) comma++;
    let optionEnd = comma;
    while (p < optionEnd && (bytes[p] === SP || bytes[p] === HTAB)) p++;
    while (optionEnd > p && (bytes[optionEnd - 1] === SP || bytes[optionEnd - 1] === HTAB)) optionEnd--;
    if (optionEnd > p) {
      if (equalsIgnoringCase(bytes, p, optionEnd, CLOSE)) head.close = true;
      else if (equalsIgnoringCase(bytes, p, optionEnd, KEEP_ALIVE)) head.keepAlive = true;
      else if (equalsIgnoringCase(bytes, p, optionEnd, UPGRADE)) head.upgrade = true;
      else {
        if (head.connectionOptions === MAX_OPTIONS) return Refusal.TooManyFields;
        let hash = 0;
        for (let i = p; i < optionEnd; i++) hash = (Math.imul(hash, 31) + FOLDED[bytes[i]]) | 0;
        head.optionHash[head.connectionOptions++] = hash;
      }
    }
    p = comma + 1;
  }
  return undefined;
}

/** Compares with a text in lower-case letters. */
export function equalsIgnoringCase(
  bytes: Uint8Array,
  start: number,
  end: number,
  lower: Uint8Array,
): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[start + i];
    if ((byte >= 65 && byte <= 90 ? byte | 32 : byte) !== lower[i]) return false;
  }
  return true;
}

/**
 * Whether a Connection field names the field at `index` (RFC 9110 7.6.1). By hash alone: who could
 * make two names collide may as well name the other one.
 */
export function namedByConnection(head: Head, index: number): boolean {
  const hash = head.nameHash[index];
  for (let i = 0; i < head.connectionOptions; i++) if (head.optionHash[i] === hash) return true;
  return false;
}
