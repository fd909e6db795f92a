import { namedByConnection } from '../http/field-parser.ts';
import type { Head } from '../http/head.ts';
import { Known } from '../http/known-header.ts';
import { output } from '../http/output.ts';
import { dateLine, now } from './clock.ts';
import type { Exchange } from './exchange.ts';

/** How the client learns where the body ends: there is none, its length, chunks, or the connection's end. */
export type BodyFraming = 'none' | 'chunked' | 'close' | number;

const bytes = (text: string) => Buffer.from(text, 'latin1');
const VERSION = bytes('HTTP/1.1 ');
const CRLF = bytes('\r\n');
const CHUNKED = bytes('Transfer-Encoding: chunked\r\n');
const LENGTH = bytes('Content-Length: ');
const CLOSE = bytes('Connection: close\r\n');
const KEEP_ALIVE = bytes('Connection: keep-alive\r\n');
const CLOSE_SERVER = bytes('Connection: close\r\nServer: sluice\r\n');
const KEEP_ALIVE_SERVER = bytes('Connection: keep-alive\r\nServer: sluice\r\n');
const UPSTREAM_STATUS = bytes('X-APISIX-Upstream-Status: ');
const SWITCHING = bytes('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n');

/** Fields of a response that end here: hop-by-hop, framing, and the Upstream's own name (Server). */
const STOPPED = new Uint8Array(64);
for (const known of [
  Known.Connection,
  Known.ContentLength,
  Known.TransferEncoding,
  Known.Upgrade,
  Known.Te,
  Known.KeepAlive,
  Known.ProxyConnection,
  Known.ProxyAuthenticate,
  Known.Server,
]) {
  STOPPED[known] = 1;
}

/** Puts the head of the final response into the output. */
export function writeResponseHead(exchange: Exchange, framing: BodyFraming): void {
  const { response, responseHead: head } = exchange;
  const connection = exchange.connection!;
  const { edits } = response;
  const edited = !edits.empty;
  if (response.statusChanged) output.putAll(response.statusLine);
  else {
    output.putAll(VERSION);
    output.put(head.bytes, head.statusStart, head.startLineEnd);
  }
  const dated = writeFields(head, exchange);
  if (framing === 'chunked') output.putAll(CHUNKED);
  else if (typeof framing === 'number') writeLength(framing);
  else if (framing === 'none' && head.contentLength >= 0 && response.status !== 204)
    writeLength(head.contentLength);
  const stays = connection.stays();
  if (edited && edits.has('server')) output.putAll(stays ? KEEP_ALIVE : CLOSE);
  else output.putAll(stays ? KEEP_ALIVE_SERVER : CLOSE_SERVER);
  if (!dated && !(edited && edits.has('date'))) output.putAll(dateLine(now()));
  if (head.status >= 500) {
    output.putAll(UPSTREAM_STATUS);
    output.putNumber(head.status);
    output.putAll(CRLF);
  }
  if (edited) edits.write();
  output.putAll(CRLF);
}

/** Copies the fields that go on; whether Date is among them. */
function writeFields(head: Head, exchange: Exchange | undefined): boolean {
  const edits = exchange?.response.edits;
  const edited = edits !== undefined && !edits.empty;
  let run = head.startLineEnd;
  let dated = false;
  for (let i = 0; i < head.count; i++) {
    const known = head.known[i];
    if (known === Known.Date) dated = true;
    const stops =
      STOPPED[known] === 1 ||
      (head.connectionOptions > 0 && namedByConnection(head, i)) ||
      (edited && edits.replaces(head, i));
    if (!stops) continue;
    if (head.nameStart[i] > run) output.put(head.bytes, run, head.nameStart[i]);
    run = i + 1 < head.count ? head.nameStart[i + 1] : head.length - 2;
  }
  if (head.length - 2 > run) output.put(head.bytes, run, head.length - 2);
  return dated;
}

function writeLength(length: number): void {
  output.putAll(LENGTH);
  output.putNumber(length);
  output.putAll(CRLF);
}

/** An interim response (RFC 9110 15.2), as it came. */
export function writeInterimHead(head: Head): void {
  output.putAll(VERSION);
  output.put(head.bytes, head.statusStart, head.startLineEnd);
  writeFields(head, undefined);
  output.putAll(CRLF);
}

/** 101 for a WebSocket that both sides agreed on. */
export function writeSwitchingHead(exchange: Exchange): void {
  output.putAll(SWITCHING);
  writeFields(exchange.responseHead, exchange);
  if (!exchange.response.edits.empty) exchange.response.edits.write();
  output.putAll(CRLF);
}
