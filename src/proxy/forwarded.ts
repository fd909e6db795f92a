import { isIP } from 'node:net';
import { output } from '../http/output.ts';
import type { Exchange } from './exchange.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const REAL_IP = bytes('X-Real-IP: ');
const FOR = bytes('\r\nX-Forwarded-For: ');
const PROTO = bytes('\r\nX-Forwarded-Proto: ');
const HOST = bytes('\r\nX-Forwarded-Host: ');
const PORT = bytes('\r\nX-Forwarded-Port: ');
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

/** Puts what the Upstream may know of the client into the output; a stranger's own claims are dropped. */
export function writeForwarded(exchange: Exchange): void {
  const { request, requestHead: head } = exchange;
  const trusted = request.peerTrusted;
  output.putAll(REAL_IP);
  output.putText(request.clientAddress);
  output.putAll(FOR);
  if (trusted) {
    const claimed = request.headerValues('x-forwarded-for').join(', ');
    output.putText(claimed === '' ? request.peerAddress : `${claimed}, ${request.peerAddress}`);
  } else output.putText(request.clientAddress);
  output.putAll(PROTO);
  output.putText(request.scheme);
  const host = trusted ? request.header('x-forwarded-host') : undefined;
  if (host !== undefined) {
    output.putAll(HOST);
    output.putText(host);
  } else if (head.hostStart >= 0) {
    output.putAll(HOST);
    output.put(head.bytes, head.hostStart, head.authorityEnd);
  }
  output.putAll(PORT);
  output.putText(
    (trusted ? request.header('x-forwarded-port') : undefined) ?? exchange.host.portText(exchange.localPort),
  );
  output.putAll(CRLF);
}
