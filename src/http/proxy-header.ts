// Headers of the PROXY protocol that go out; `proxy-protocol.ts` reads those that come in.

import { isIP } from 'node:net';

/** An address and port of one end of a connection. IPv6 without brackets. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export const PROXY_V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED = 16;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;

export type ProxyVersion = 'v1' | 'v2';

/** The header that says: `source` has connected to `destination`. */
export function proxyHeader(version: ProxyVersion, source: Endpoint, destination: Endpoint): Buffer {
  const v4 = isIP(source.address) === 4 && isIP(destination.address) === 4;
  if (version === 'v1') {
    const [from, to] = v4
      ? [source.address, destination.address]
      : [asIpv6(source.address), asIpv6(destination.address)];
    const family = v4 ? 'TCP4' : 'TCP6';
    return Buffer.from(`PROXY ${family} ${from} ${to} ${source.port} ${destination.port}\r\n`, 'latin1');
  }
  const size = v4 ? 4 : 16;
  const header = Buffer.alloc(FIXED + size * 2 + 4);
  PROXY_V2_SIGNATURE.copy(header);
  header[12] = PROXY;
  header[13] = v4 ? TCP4 : TCP6;
  header.writeUInt16BE(size * 2 + 4, 14);
  putAddress(header, FIXED, source.address, v4);
  putAddress(header, FIXED + size, destination.address, v4);
  header.writeUInt16BE(source.port, FIXED + size * 2);
  header.writeUInt16BE(destination.port, FIXED + size * 2 + 2);
  return header;
}

/** Both addresses must be of one family: of two different ones the IPv4 is mapped (RFC 4291 2.5.5.2). */
function asIpv6(address: string): string {
  return isIP(address) === 4 ? `::ffff:${address}` : address;
}

function putAddress(header: Buffer, at: number, address: string, v4: boolean): void {
  if (v4) {
    address.split('.').forEach((part, index) => {
      header[at + index] = Number(part);
    });
    return;
  }
  groupsOf(asIpv6(address)).forEach((group, index) => {
    header.writeUInt16BE(group, at + index * 2);
  });
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const hex = address
    .split('%')[0]
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
      [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((n) => n.toString(16)).join(':'),
    );
  const [head, tail] = hex.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const before = head ?? [];
  const after = tail ?? [];
  const gap = new Array<string>(tail === undefined ? 0 : 8 - before.length - after.length).fill('0');
  return [...before, ...gap, ...after].map((group) => Number.parseInt(group, 16));
}
