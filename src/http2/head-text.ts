// The heads between the engine, which speaks HTTP/1.1 in bytes, and node:http2, which speaks in
// names and values (RFC 9113 8.2, 8.3).

import { fieldValue } from '../http/characters.ts';
import { STATUS_TEXT } from '../http/status-text.ts';

/** Fields that mean something to one HTTP/1.1 connection only and that HTTP/2 forbids (RFC 9113 8.2.2). */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
]);

/** Whether HTTP/2 has no place for a field of that name, in lower case. */
export function isConnectionSpecific(name: string): boolean {
  return CONNECTION_SPECIFIC.has(name);
}

/** A head that the engine has written, and so is well-formed and whole. */
export interface HeadText {
  /** The start line without its line end. */
  readonly line: string;
  /** Names in lower case and values by turns. */
  readonly fields: readonly string[];
  /** Where in the bytes the body begins. */
  readonly bodyStart: number;
}

/** Reads the head at `start`; undefined when its end isn't there, which the engine never does. */
export function readHead(bytes: Buffer, start: number, end: number): HeadText | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n', start, 'latin1');
  if (headEnd < 0 || headEnd + 4 > end) return undefined;
  const text = bytes.latin1Slice(start, headEnd);
  const lineEnd = text.indexOf('\r\n');
  const fields: string[] = [];
  for (let at = lineEnd; at >= 0; ) {
    const from = at + 2;
    const colon = text.indexOf(':', from);
    at = text.indexOf('\r\n', from);
    const value = at < 0 ? text.slice(colon + 1) : text.slice(colon + 1, at);
    fields.push(text.slice(from, colon).toLowerCase(), fieldValue(value));
  }
  return { line: lineEnd < 0 ? text : text.slice(0, lineEnd), fields, bodyStart: headEnd + 4 };
}

/** Field names and values as node:http2 takes them. */
export type Fields = Record<string, string | string[] | number>;

/** Fields to begin with. Without a prototype: `constructor` and `__proto__` are names like any other. */
export function fieldsOf(first: Fields = {}): Fields {
  return Object.assign(Object.create(null), first);
}

/** Adds a field, also where there is one of that name. */
export function addField(fields: Fields, name: string, value: string): void {
  const there = fields[name];
  if (there === undefined) fields[name] = value;
  else if (Array.isArray(there)) there.push(value);
  else fields[name] = [String(there), value];
}

/** Nothing that would become a second field when it is written in lines; node:http2 drops such fields itself. */
const BREAKS_LINE = /[\0\r\n]/;

/** What a request's fields say that is of use to its stream. */
export interface RequestText {
  readonly text: string;
  /** The body comes in chunks: there is one, of a length that nobody has said. */
  readonly chunked: boolean;
  /** The request is gRPC's: its media type is application/grpc, alone or with a suffix. */
  readonly grpc: boolean;
  /** The value of grpc-timeout, or empty. */
  readonly timeout: string;
}

/**
 * An HTTP/2 request head as HTTP/1.1 text, from names and values by turns as they came. undefined
 * when it is malformed (RFC 9113 8.1.1) and HTTP/1.1 couldn't express what is wrong with it.
 * `ended` when no body follows.
 */
export function requestText(raw: readonly string[], ended: boolean): RequestText | undefined {
  let method = '';
  let path = '';
  let authority = '';
  let host = '';
  let hosts = 0;
  let cookie = '';
  let length = false;
  let type = '';
  let timeout = '';
  let lines = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i];
    const value = raw[i + 1];
    if (BREAKS_LINE.test(value) || BREAKS_LINE.test(name)) return undefined;
    switch (name) {
      case ':method':
        method = value;
        continue;
      case ':path':
        path = value;
        continue;
      case ':authority':
        authority = value;
        continue;
      case ':scheme':
        continue; // what the connection is says the Listener
      case 'host':
        host = value;
        hosts++;
        continue;
      case 'cookie':
        // One field may come as several, for the sake of compression (RFC 9113 8.2.3).
        cookie = cookie === '' ? value : `${cookie}; ${value}`;
        continue;
      case 'content-length':
        length = true;
        break;
      case 'content-type':
        type = value;
        break;
      case 'grpc-timeout':
        timeout = value;
        break;
      default:
        if (name.charCodeAt(0) === 58) return undefined; // a pseudo-header field of no request
        if (isConnectionSpecific(name)) {
          if (name === 'te' && value.toLowerCase() === 'trailers') break;
          return undefined;
        }
    }
    lines += `${name}: ${value}\r\n`;
  }
  if (method === 'CONNECT') path = authority;
  else if (!isPath(path)) return undefined;
  if (authority === '') authority = host;
  // Two names for the server: told as such, so that the request is refused for it.
  else if (hosts > 0 && host.toLowerCase() !== authority.toLowerCase()) lines += `Host: ${host}\r\n`;
  if (hosts > 1) lines += 'Host: \r\n';
  let text = `${method} ${path} HTTP/1.1\r\n`;
  if (authority !== '') text += `Host: ${authority}\r\n`;
  text += lines;
  if (cookie !== '') text += `cookie: ${cookie}\r\n`;
  const chunked = !ended && !length;
  if (chunked) text += 'Transfer-Encoding: chunked\r\n';
  return { text: `${text}\r\n`, chunked, grpc: isGrpc(type), timeout };
}

/** Origin form or `*`, nothing that would end the request line (RFC 9113 8.3.1). */
function isPath(path: string): boolean {
  if (path.charCodeAt(0) !== 47 && path !== '*') return false;
  for (let i = 0; i < path.length; i++) if (path.charCodeAt(i) <= 32) return false;
  return true;
}

/** Whether a media type is gRPC's own; gRPC-Web has another. */
export function isGrpc(type: string): boolean {
  if (!type.startsWith('application/grpc')) return false;
  const next = type.charCodeAt(16);
  return Number.isNaN(next) || next === 43 || next === 59 || next === 32;
}

/** The first value of that name among names and values by turns. */
export function fieldIn(raw: readonly string[], name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i] === name) return raw[i + 1];
  return undefined;
}

/** An HTTP/2 response head as HTTP/1.1 text; `framing` is the field that says where the body ends, unless Content-Length does. */
export function responseText(status: number, raw: readonly string[], framing: string): string {
  let text = `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ''}\r\n`;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i];
    const value = raw[i + 1];
    if (name.charCodeAt(0) === 58 || isConnectionSpecific(name)) continue;
    if (BREAKS_LINE.test(value) || BREAKS_LINE.test(name)) continue;
    if (framing !== '' && name === 'content-length') continue;
    text += `${name}: ${value}\r\n`;
  }
  return `${text}${framing}\r\n`;
}
