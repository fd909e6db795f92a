import { namedByConnection } from '../http/field-parser.ts';
import type { Head } from '../http/head.ts';
import { Known } from '../http/known-header.ts';
import { output } from '../http/output.ts';
import type { Exchange } from './exchange.ts';
import type { Target, Upstream } from './upstream.ts';
import { wantsWebSocket } from './websocket-handshake.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const SPACE = bytes(' ');
const SLASH = bytes('/');
const QUESTION = bytes('?');
const LINE_END = bytes(' HTTP/1.1\r\nHost: ');
const CRLF = bytes('\r\n');
const CHUNKED = bytes('Transfer-Encoding: chunked\r\n');
const LENGTH = bytes('Content-Length: ');
const WEBSOCKET = bytes('Connection: Upgrade\r\nUpgrade: websocket\r\n');
const CONSUMER = bytes('X-Consumer-Username: ');
const CREDENTIAL = bytes('X-Credential-Identifier: ');
const CUSTOM_ID = bytes('X-Consumer-Custom-Id: ');

/** Fields that end here: hop-by-hop (RFC 9110 7.6.1), framing, and what only the gateway may say. */
const STOPPED = new Uint8Array(64);
for (const known of [
  Known.Connection,
  Known.ContentLength,
  Known.TransferEncoding,
  Known.Host,
  Known.Expect,
  Known.Upgrade,
  Known.Te,
  Known.KeepAlive,
  Known.ProxyConnection,
  Known.ProxyAuthenticate,
  Known.ProxyAuthorization,
  Known.Http2Settings,
  Known.XForwardedFor,
  Known.XForwardedProto,
  Known.XForwardedHost,
  Known.XForwardedPort,
  Known.XRealIp,
  Known.XConsumerUsername,
  Known.XCredentialIdentifier,
  Known.XConsumerCustomId,
]) {
  STOPPED[known] = 1;
}
/** Fields that a Connection field can't have removed: they are not the hop's. */
const PROTECTED = new Uint8Array(64);
PROTECTED[Known.Authorization] = PROTECTED[Known.ContentType] = 1;

/** Puts the head of the request to the Upstream into the output. */
export function writeRequestHead(exchange: Exchange, upstream: Upstream, target: Target): void {
  const head = exchange.requestHead;
  const edits = exchange.request.edits;
  writeRequestLine(exchange, head);
  writeHost(exchange, upstream, target, head);
  output.putAll(CRLF);
  exchange.host.writeForwarded(exchange);
  const tunnel = wantsWebSocket(exchange);
  writeFields(head, exchange);
  if (tunnel) output.putAll(WEBSOCKET);
  const { collected } = exchange.request;
  if (collected !== undefined) writeLength(collected.length);
  else if (head.chunked) output.putAll(CHUNKED);
  else if (head.contentLength >= 0) writeLength(head.contentLength);
  const { consumer } = exchange;
  if (consumer !== undefined) {
    writeIdentity(exchange, CONSUMER, 'x-consumer-username', consumer.username);
    writeIdentity(exchange, CREDENTIAL, 'x-credential-identifier', exchange.credentialId);
    writeIdentity(exchange, CUSTOM_ID, 'x-consumer-custom-id', consumer.customId);
  }
  if (!edits.empty) edits.write();
  output.putAll(CRLF);
}

function writeRequestLine(exchange: Exchange, head: Head): void {
  const { upstream } = exchange;
  if (upstream.methodChanged) output.putText(upstream.method);
  else output.put(head.bytes, head.methodStart, head.methodEnd);
  output.putAll(SPACE);
  if (upstream.targetChanged || head.pathNeedsCare) {
    output.putText(upstream.path);
    const { query } = upstream;
    if (query !== '') {
      output.putAll(QUESTION);
      output.putText(query);
    }
  } else if (head.pathStart === head.pathEnd) {
    output.putAll(SLASH);
    output.put(head.bytes, head.pathStart, head.targetEnd);
  } else output.put(head.bytes, head.pathStart, head.targetEnd);
  output.putAll(LINE_END);
}

function writeHost(exchange: Exchange, upstream: Upstream, target: Target, head: Head): void {
  const { edits } = exchange.request;
  const host = exchange.upstream.host ?? (edits.empty ? undefined : edits.added('host'));
  if (host !== undefined) output.putText(checkedHost(host));
  else if (upstream.passHost === 'rewrite') output.putText(upstream.upstreamHost);
  else if (upstream.passHost === 'node' || head.hostStart < 0) output.putText(target.hostField);
  else output.put(head.bytes, head.hostStart, head.authorityEnd);
}

/** A Host given by a Plugin must not become a second field. */
function checkedHost(host: string): string {
  if (/^[!-~]+$/.test(host)) return host;
  throw new TypeError(`not a host: ${JSON.stringify(host)}`);
}

/** Copies the fields that go on, in as few pieces as possible. */
function writeFields(head: Head, exchange: Exchange): void {
  const { edits } = exchange.request;
  const edited = !edits.empty;
  const dropForwarded = !exchange.request.peerTrusted;
  let run = head.startLineEnd;
  for (let i = 0; i < head.count; i++) {
    const known = head.known[i];
    const stops =
      STOPPED[known] === 1 ||
      (known === Known.Forwarded && dropForwarded) ||
      (head.connectionOptions > 0 && PROTECTED[known] === 0 && namedByConnection(head, i)) ||
      (edited && edits.replaces(head, i));
    if (!stops) continue;
    if (head.nameStart[i] > run) output.put(head.bytes, run, head.nameStart[i]);
    run = i + 1 < head.count ? head.nameStart[i + 1] : head.length - 2;
  }
  if (head.length - 2 > run) output.put(head.bytes, run, head.length - 2);
}

function writeLength(length: number): void {
  output.putAll(LENGTH);
  output.putNumber(length);
  output.putAll(CRLF);
}

/** Who the caller is, unless a Plugin has set that field; in bytes that can't become another field. */
function writeIdentity(exchange: Exchange, field: Buffer, name: string, value: string | undefined): void {
  const { edits } = exchange.request;
  if (value === undefined || (!edits.empty && edits.has(name))) return;
  output.putAll(field);
  if (/^[ -~]*$/.test(value)) output.putText(value);
  else output.putAll(Buffer.from(value.replace(/[\0-\x1f\x7f]/g, ' '), 'utf8'));
  output.putAll(CRLF);
}
