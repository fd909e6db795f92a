// The PROXY protocol (haproxy.org, proxy-protocol.txt): a header in front of a connection's bytes by
// which a hop says for whom it speaks. Version 1 is a line of text, version 2 is binary.

import { isIP, SocketAddress } from 'node:net';
import type { Peer } from './first-stage.ts';
import { PROXY_V2_SIGNATURE } from './proxy-header.ts';

export interface ProxyHeader {
  /** Bytes that the header takes. */
  readonly length: number;
  /** The client; undefined when the hop speaks for itself (LOCAL) or doesn't say (UNKNOWN, UNSPEC, UNIX). */
  readonly source: Peer | undefined;
}

/** Longest line of version 1, with CRLF. */
const V1_MAX = 107;
const V2_FIXED = 16;
/** Bytes of addresses and TLVs that are taken; TLS client details make some hundred. */
const V2_MAX = 4096;

/** No valid header is longer. */
export const PROXY_HEADER_MAX = V2_FIXED + V2_MAX;

const V1_START = Buffer.from('PROXY ', 'latin1');

const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Families that the specification knows and that name nobody on a TCP connection: UNSPEC, UDP and UNIX. */
const OTHER_FAMILIES: ReadonlySet<number> = new Set([0x00, 0x12, 0x22, 0x31, 0x32]);
const ADDRESS_BYTES: Readonly<Record<number, number>> = {
  [TCP4]: 12,
  18: 12,
  [TCP6]: 36,
  34: 36,
  49: 216,
  50: 216,
};

/**
 * The header at the beginning of `bytes`, `undefined` when more bytes are needed to know, `null` when
 * this is none. Strict: what the specification doesn't allow is none.
 */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | undefined | null {
  if (startsAlike(bytes, V1_START)) return bytes.length < V1_START.length ? undefined : parseV1(bytes);
  if (startsAlike(bytes, PROXY_V2_SIGNATURE))
    return bytes.length < V2_FIXED ? partOfV2(bytes) : parseV2(bytes);
  return null;
}

/** Whether one of the two begins with the other. */
function startsAlike(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length);
  return bytes.compare(mark, 0, length, 0, length) === 0;
}

function parseV1(bytes: Buffer): ProxyHeader | undefined | null {
  const end = bytes.subarray(0, V1_MAX).indexOf('\r\n');
  if (end < 0) return bytes.length >= V1_MAX ? null : undefined;
  const length = end + 2;
  const [protocol, source, destination, sourcePort, destinationPort, more] = bytes
    .latin1Slice(V1_START.length, end)
    .split(' ');
  // Whatever follows UNKNOWN is to be ignored.
  if (protocol === 'UNKNOWN') return { length, source: undefined };
  const family = protocol === 'TCP4' ? 4 : protocol === 'TCP6' ? 6 : 0;
  if (family === 0 || more !== undefined || destinationPort === undefined) return null;
  if (!isPort(sourcePort) || !isPort(destinationPort)) return null;
  if (!isAddress(source, family) || !isAddress(destination, family)) return null;
  return { length, source: { address: shortest(source, family), port: Number(sourcePort) } };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

/** A zone (`%eth0`) has no meaning beyond the hop's own machine. */
function isAddress(text: string, family: number): boolean {
  return isIP(text) === family && !text.includes('%');
}

/** Refuses early what can't become a header of version 2. */
function partOfV2(bytes: Buffer): undefined | null {
  return bytes.length > 12 && bytes[12] !== LOCAL && bytes[12] !== PROXY ? null : undefined;
}

function parseV2(bytes: Buffer): ProxyHeader | undefined | null {
  const command = bytes[12];
  if (command !== LOCAL && command !== PROXY) return null;
  const size = bytes.readUInt16BE(14);
  if (size > V2_MAX) return null;
  const length = V2_FIXED + size;
  const family = bytes[13];
  if (command === PROXY && family !== TCP4 && family !== TCP6 && !OTHER_FAMILIES.has(family)) return null;
  const addresses = command === PROXY ? (ADDRESS_BYTES[family] ?? 0) : 0;
  if (size < addresses) return null;
  if (bytes.length < length) return undefined;
  // The bytes after a LOCAL or UNSPEC are nobody's business; elsewhere TLVs must be whole.
  if (addresses > 0 && !wholeTlvs(bytes, V2_FIXED + addresses, length)) return null;
  if (command === LOCAL) return { length, source: undefined };
  if (family === TCP4) {
    const address = `${bytes[16]}.${bytes[17]}.${bytes[18]}.${bytes[19]}`;
    return { length, source: { address, port: bytes.readUInt16BE(24) } };
  }
  if (family === TCP6) {
    const groups = Array.from({ length: 8 }, (_, index) =>
      bytes.readUInt16BE(V2_FIXED + index * 2).toString(16),
    );
    return { length, source: { address: shortest(groups.join(':'), 6), port: bytes.readUInt16BE(48) } };
  }
  return { length, source: undefined };
}

/** Each a type, a length of two bytes and so many bytes. */
function wholeTlvs(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at + 3 <= end) at += 3 + bytes.readUInt16BE(at + 1);
  return at === end;
}

/** One text for one address, as sockets say it; an IPv4 address in IPv6 clothes is an IPv4 address. */
function shortest(address: string, family: number): string {
  if (family === 4) return address;
  const text = new SocketAddress({ address, family: 'ipv6' }).address;
  return text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text;
}
