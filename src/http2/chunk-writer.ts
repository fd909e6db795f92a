// DATA frames become chunks (RFC 9112 7.1) for the engine: size, data and line end in one piece, so
// that one write passes them on.

import { nameHash } from '../http/characters.ts';
import { nameMayTrail } from '../http/known-header.ts';
import { poison, poisoning } from '../http/poison.ts';
import type { TransportOwner } from '../http/transport.ts';

const SIZE = 40 * 1024;
/** Digits of a size, and two line ends. */
const FRAMING = 12;
const shared = Buffer.allocUnsafeSlow(SIZE);
let busy = false;

/** Gives the owner one chunk. */
export function deliverChunk(owner: TransportOwner, data: Buffer): void {
  if (data.length === 0) return; // it would end the body
  const own = busy || data.length + FRAMING > SIZE;
  const buffer = own ? Buffer.allocUnsafe(data.length + FRAMING) : shared;
  let at = buffer.latin1Write(`${data.length.toString(16)}\r\n`, 0);
  at += data.copy(buffer, at);
  buffer[at++] = 13;
  buffer[at++] = 10;
  if (own) return owner.onData(buffer, 0, at);
  busy = true;
  try {
    owner.onData(buffer, 0, at);
  } finally {
    busy = false;
    if (poisoning) poison(buffer, 0, at);
  }
}

const END = Buffer.from('0\r\n\r\n');

/** Gives the owner the last chunk with the trailers, names and values by turns. Those that may not trail are left out. */
export function deliverLastChunk(owner: TransportOwner, trailers: readonly string[] | undefined): void {
  if (trailers === undefined) return owner.onData(END, 0, END.length);
  let text = '0\r\n';
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i];
    if (name.charCodeAt(0) === 58 || !nameMayTrail(nameHash(name))) continue;
    if (/[\0\r\n]/.test(trailers[i + 1])) continue;
    text += `${name}: ${trailers[i + 1]}\r\n`;
  }
  const bytes = Buffer.from(`${text}\r\n`, 'latin1');
  owner.onData(bytes, 0, bytes.length);
}
