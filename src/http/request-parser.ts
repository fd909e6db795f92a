import { CR, HOST_NAME, LF, METHOD, SP, TARGET, TOKEN } from './characters.ts';
import {
  COMPLETE,
  equalsIgnoringCase,
  FieldState,
  more,
  type ParseResult,
  parseFields,
} from './field-parser.ts';
import type { Head } from './head.ts';
import { Known } from './known-header.ts';
import { type ProtocolError, Refusal } from './protocol-error.ts';

const State = { Begin: 0, BeginLf: 1, Method: 2, Target: 3, Version: 4, LineLf: 5 } as const;

const VERSION = Buffer.from('HTTP/1.');
const HTTP = Buffer.from('http://');
const HTTPS = Buffer.from('https://');

export interface RequestLimits {
  /** Longest request target in bytes. */
  readonly maxTarget: number;
  readonly maxFields: number;
}

/**
 * Parses a request head (RFC 9112 3 and 5) from where it stopped before. MORE, COMPLETE with
 * `head.length` set, or why the request is refused; then the connection must be closed.
 */
export function parseRequest(head: Head, limits: RequestLimits): ParseResult {
  const { bytes } = head;
  const end = head.filled;
  let p = head.position;
  for (;;) {
    switch (head.state) {
      case State.Begin: {
        if (p >= end) return more(head, p, State.Begin);
        if (bytes[p] === CR && p === 0) {
          // One empty line before a request is forgiven (RFC 9112 2.2).
          p++;
          head.state = State.BeginLf;
          break;
        }
        head.methodStart = p;
        head.state = State.Method;
        break;
      }
      case State.BeginLf: {
        if (p >= end) return more(head, p, State.BeginLf);
        if (bytes[p] !== LF) return Refusal.LineEnd;
        p++;
        head.methodStart = p;
        head.state = State.Method;
        break;
      }
      case State.Method: {
        while (p < end && METHOD[bytes[p]] === 1) p++;
        if (p - head.methodStart > 32) return Refusal.Method;
        if (p >= end) return more(head, p, State.Method);
        if (bytes[p] !== SP || p === head.methodStart) {
          return TOKEN[bytes[p]] !== 0 ? Refusal.Method : Refusal.RequestLine;
        }
        head.methodEnd = p++;
        head.targetStart = p;
        head.state = State.Target;
        break;
      }
      case State.Target: {
        let byte = 0;
        let care = head.pathNeedsCare;
        while (p < end && TARGET[(byte = bytes[p])] === 1) {
          // `/` followed by `/` or `.`, and every escape; a byte beyond the end is looked at again
          // when it is the current one, hence the look back instead of ahead.
          if (byte === 37 || ((byte === 47 || byte === 46) && p > 0 && bytes[p - 1] === 47)) care = true;
          p++;
        }
        head.pathNeedsCare = care;
        if (p - head.targetStart > limits.maxTarget) return Refusal.TargetTooLong;
        if (p >= end) return more(head, p, State.Target);
        if (byte !== SP || p === head.targetStart) return Refusal.Target;
        head.targetEnd = p++;
        head.startLineEnd = p; // where the version begins, until the line is complete
        head.state = State.Version;
        break;
      }
      case State.Version: {
        const start = head.startLineEnd;
        while (p < end && p < start + 7) {
          if (bytes[p] !== VERSION[p - start]) return Refusal.Version;
          p++;
        }
        if (p >= end) return more(head, p, State.Version);
        if (p === start + 7) {
          head.minorVersion = bytes[p] - 48;
          if (head.minorVersion !== 0 && head.minorVersion !== 1) return Refusal.Version;
          p++;
        }
        if (p >= end) return more(head, p, State.Version);
        if (bytes[p] !== CR) return bytes[p] === LF ? Refusal.LineEnd : Refusal.Version;
        p++;
        head.state = State.LineLf;
        break;
      }
      case State.LineLf: {
        if (p >= end) return more(head, p, State.LineLf);
        if (bytes[p] !== LF) return Refusal.LineEnd;
        p++;
        head.startLineEnd = p;
        const refusal = applyTarget(head);
        if (refusal !== undefined) return refusal;
        head.position = p;
        head.state = FieldState.Start;
        break;
      }
      default: {
        if (head.state < FieldState.Start) return Refusal.RequestLine;
        const result = parseFields(head, limits.maxFields);
        return result === COMPLETE ? (finish(head) ?? COMPLETE) : result;
      }
    }
  }
}

/** Splits the target by its form (RFC 9112 3.2): origin, absolute, or `*` for OPTIONS. */
function applyTarget(head: Head): ProtocolError | undefined {
  const { bytes, methodStart, methodEnd, targetStart, targetEnd } = head;
  const length = methodEnd - methodStart;
  if (
    (length === 7 && bytes[methodStart] === 67 && isMethod(head, 'CONNECT')) ||
    (length === 5 && bytes[methodStart] === 84 && isMethod(head, 'TRACE'))
  ) {
    return Refusal.MethodNotAllowed;
  }
  let start = targetStart;
  if (bytes[start] !== 47) {
    if (targetEnd - start === 1 && bytes[start] === 42 && isMethod(head, 'OPTIONS')) {
      head.pathStart = start;
      head.pathEnd = targetEnd;
      return undefined;
    }
    if (equalsIgnoringCase(bytes, start, start + 7, HTTP)) start += 7;
    else if (equalsIgnoringCase(bytes, start, start + 8, HTTPS)) start += 8;
    else return Refusal.Target;
    head.hostStart = start;
    while (start < targetEnd && bytes[start] !== 47 && bytes[start] !== 63) start++;
    head.authorityEnd = start;
    // The two slashes of the scheme are not the path's.
    head.pathNeedsCare = true;
  }
  head.pathStart = start;
  let p = start;
  while (p < targetEnd && bytes[p] !== 63) p++;
  head.pathEnd = p;
  return undefined;
}

function isMethod(head: Head, method: string): boolean {
  for (let i = 0; i < method.length; i++) {
    if (head.bytes[head.methodStart + i] !== method.charCodeAt(i)) return false;
  }
  return head.methodEnd - head.methodStart === method.length;
}

/** What can only be said of the head as a whole. */
function finish(head: Head): ProtocolError | undefined {
  if (head.chunked && head.minorVersion === 0) return Refusal.CodingInHttp10;
  if (head.hosts === 0) {
    if (head.minorVersion === 1) return Refusal.NoHost;
  } else if (head.hostStart < head.startLineEnd) {
    // Absolute form: the target's authority counts, yet a bad Host is still a bad request.
    const field = head.known.indexOf(Known.Host);
    if (hostEndOf(head.bytes, head.valueStart[field], head.valueEnd[field]) < 0) return Refusal.Host;
  }
  if (head.hostStart >= 0) {
    head.hostEnd = hostEndOf(head.bytes, head.hostStart, head.authorityEnd);
    if (head.hostEnd < 0) return Refusal.Host;
  }
  return undefined;
}

/** Checks `uri-host [":" port]` (RFC 9110 7.2) without userinfo; where the host ends, or -1. */
function hostEndOf(bytes: Uint8Array, start: number, end: number): number {
  let p = start;
  if (bytes[p] === 91 && p < end) {
    p++;
    while (p < end && isIpv6Byte(bytes[p])) p++;
    if (p >= end || bytes[p] !== 93 || p - start < 3) return -1;
    p++;
  } else {
    while (p < end && HOST_NAME[bytes[p]] === 1) p++;
    if (p === start) return -1;
  }
  const hostEnd = p;
  if (p === end) return hostEnd;
  if (bytes[p] !== 58) return -1;
  let port = 0;
  for (p++; p < end; p++) {
    const digit = bytes[p] - 48;
    if (digit < 0 || digit > 9) return -1;
    port = port * 10 + digit;
    if (port > 65535) return -1;
  }
  return end - hostEnd > 1 && port > 0 ? hostEnd : -1;
}

function isIpv6Byte(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 58) || (byte >= 97 && byte <= 102) || (byte >= 65 && byte <= 70) || byte === 46
  );
}
