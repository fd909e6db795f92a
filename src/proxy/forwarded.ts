import { isIP } from 'node:net';
import type { ClientConnection } from '../http/client-connection.ts';
import { output } from '../http/output.ts';
import { type ProxyVersion, proxyHeader } from '../http/proxy-header.ts';
import type { Exchange } from './exchange.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const REAL_IP = bytes('X-Real-IP: ');
const FOR = bytes('X-Forwarded-For: ');
const PROTO = bytes('X-Forwarded-Proto: ');
const HOST = bytes('X-Forwarded-Host: ');
const PORT = bytes('X-Forwarded-Port: ');
const CRLF = bytes('\r\n');

/** Which peers are hops of ours, whose word about the client counts. */
export interface TrustedHops {
  has(address: string): boolean;
}

/** Finds out who the client is: the peer, or whom a trusted hop names (X-Real-IP, then X-Forwarded-For from the right). */
export function applyTrust(exchange: Exchange, trusted: TrustedHops | undefined): void {
  const { request } = exchange;
  request.peerTrusted = trusted?.has(request.peerAddress) ?? false;
  if (!request.peerTrusted) return;
  const realIp = request.header('x-real-ip');
  if (realIp !== undefined && isIP(realIp) !== 0) {
    request.clientAddress = realIp;
  } else {
    const hops = request.headerValues('x-forwarded-for').join(',').split(',');
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = hops[i].trim();
      if (isIP(hop) === 0) break;
      request.clientAddress = hop;
      if (!trusted!.has(hop)) break;
    }
  }
  const proto = request.header('x-forwarded-proto');
  if (proto === 'https' || proto === 'http') request.scheme = proto;
}

/**
 * Puts what the Upstream may know of the client into the output; a stranger's own claims are
 * dropped. A field that a Plugin has set is the Plugin's.
 */
export function writeForwarded(exchange: Exchange): void {
  const { request, requestHead: head } = exchange;
  const { edits } = request;
  const trusted = request.peerTrusted;
  const ours = edits.empty;
  if (ours && !trusted && request.clientAddress === request.peerAddress && exchange.connection !== null) {
    writePrepared(exchange, exchange.connection);
    return;
  }
  if (ours || !edits.has('x-real-ip')) writeText(REAL_IP, request.clientAddress);
  if (ours || !edits.has('x-forwarded-for')) {
    const claimed = trusted ? request.headerValues('x-forwarded-for').join(', ') : '';
    if (!trusted) writeText(FOR, request.clientAddress);
    else writeText(FOR, claimed === '' ? request.peerAddress : `${claimed}, ${request.peerAddress}`);
  }
  if (ours || !edits.has('x-forwarded-proto')) writeText(PROTO, request.scheme);
  if (ours || !edits.has('x-forwarded-port')) {
    const port = trusted ? request.header('x-forwarded-port') : undefined;
    writeText(PORT, port ?? exchange.host.portText(exchange.localPort));
  }
  if (ours || !edits.has('x-forwarded-host')) {
    const host = trusted ? request.header('x-forwarded-host') : undefined;
    if (host !== undefined) writeText(HOST, host);
    else if (head.hostStart >= 0) {
      output.putAll(HOST);
      output.put(head.bytes, head.hostStart, head.authorityEnd);
      output.putAll(CRLF);
    }
  }
}

const NAMES = ['X-Real-IP', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Port', 'X-Forwarded-Host'];

/** What the Upstream is told of the client of an Exchange, for a request that is made on its behalf. */
export function forwardedLines(exchange: Exchange): Buffer {
  output.begin();
  exchange.host.writeForwarded(exchange);
  const { edits } = exchange.request;
  for (const name of NAMES) {
    const set = edits.empty ? undefined : edits.added(name.toLowerCase());
    if (set !== undefined) writeText(bytes(`${name}: `), set);
  }
  const lines = Buffer.from(output.bytes.subarray(0, output.length));
  output.begin();
  return lines;
}

/** Says in the PROXY protocol for whom a connection to a Target is made. */
export function announcement(version: ProxyVersion, { request, connection, localPort }: Exchange): Buffer {
  return proxyHeader(
    version,
    { address: request.clientAddress, port: request.clientPort },
    // A client that has gone leaves no end of ours.
    { address: connection?.transport.localAddress || '0.0.0.0', port: localPort },
  );
}

/** The usual case: nearly all of it is the same for every request of a connection. */
function writePrepared(
  { request, requestHead: head, host, localPort }: Exchange,
  connection: ClientConnection,
): void {
  connection.prepared ??= bytes(
    `X-Real-IP: ${request.peerAddress}\r\nX-Forwarded-For: ${request.peerAddress}\r\nX-Forwarded-Proto: ${request.scheme}\r\nX-Forwarded-Port: ${host.portText(localPort)}\r\n`,
  );
  output.putAll(connection.prepared);
  if (head.hostStart < 0) return;
  output.putAll(HOST);
  output.put(head.bytes, head.hostStart, head.authorityEnd);
  output.putAll(CRLF);
}

function writeText(name: Buffer, value: string): void {
  output.putAll(name);
  output.putText(value);
  output.putAll(CRLF);
}
