// JSON put straight into bytes. Every function writes at `at` and returns where it ended; the caller
// has made room.

import type { Latin1Buffer } from '../model/exchange-record.ts';

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const HEX = Buffer.from('0123456789abcdef');

/** 1 for a byte that a JSON string and a terminal may hold as it is: printable ASCII but quote and backslash. */
const PLAIN = new Uint8Array(256);
for (let byte = 0x20; byte < 0x7f; byte++) PLAIN[byte] = byte === QUOTE || byte === BACKSLASH ? 0 : 1;

/**
 * Client bytes as the inside of a JSON string, each byte read as latin1: at most six for one. Control
 * bytes, DEL and everything above ASCII become `\u00XX`, so that one request is one line and no
 * terminal obeys what a client sent.
 */
export function putEscaped(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let position = at;
  let index = start;
  if (end - start > 24) {
    // Long texts are mostly plain, and one copy beats a store for each byte.
    while (index < end && PLAIN[bytes[index]] === 1) index++;
    Buffer.prototype.copy.call(bytes, out, at, start, index);
    position += index - start;
  }
  for (; index < end; index++) {
    const byte = bytes[index];
    if (PLAIN[byte] === 1) out[position++] = byte;
    else position = putEscapedByte(out, position, byte);
  }
  return position;
}

function putEscapedByte(out: Uint8Array, at: number, byte: number): number {
  out[at] = BACKSLASH;
  if (byte === QUOTE || byte === BACKSLASH) {
    out[at + 1] = byte;
    return at + 2;
  }
  out[at + 1] = 0x75;
  out[at + 2] = 0x30;
  out[at + 3] = 0x30;
  out[at + 4] = HEX[byte >> 4];
  out[at + 5] = HEX[byte & 15];
  return at + 6;
}

/** Bytes as they are. */
export function putBytes(out: Uint8Array, at: number, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length > 40) out.set(bytes, at);
  else for (let index = 0; index < length; index++) out[at + index] = bytes[index];
  return at + length;
}

/** A whole number from 0 up; 0 for what isn't one. */
export function putInteger(out: Latin1Buffer, at: number, value: number): number {
  if (!(value >= 1)) {
    out[at] = 0x30;
    return at + 1;
  }
  if (value > 0x7fffffff) {
    const text = Math.round(value).toFixed(0);
    return at + out.latin1Write(text, at, text.length);
  }
  let rest = value | 0;
  const end = at + digitsOf(rest);
  for (let position = end - 1; position >= at; position--) {
    const tenth = (rest / 10) | 0;
    out[position] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

/** Milliseconds with three decimals; 0 for what isn't a time. */
export function putMilliseconds(out: Latin1Buffer, at: number, value: number): number {
  const thousandths = value > 0 && value < 2e12 ? Math.round(value * 1000) : 0;
  const whole = Math.floor(thousandths / 1000);
  const position = putInteger(out, at, whole);
  out[position] = 0x2e;
  putThreeDigits(out, position + 1, thousandths - whole * 1000);
  return position + 4;
}

export function putThreeDigits(out: Uint8Array, at: number, value: number): void {
  const hundreds = (value / 100) | 0;
  const tens = (value / 10) | 0;
  out[at] = 0x30 + hundreds;
  out[at + 1] = 0x30 + tens - hundreds * 10;
  out[at + 2] = 0x30 + value - tens * 10;
}

/** Text of the configuration as the inside of a JSON string, all ASCII. */
export function jsonText(text: string): Buffer {
  const quoted = JSON.stringify(text).replace(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return Buffer.from(quoted.slice(1, -1), 'latin1');
}

function digitsOf(value: number): number {
  if (value < 1000) return value < 10 ? 1 : value < 100 ? 2 : 3;
  if (value < 1_000_000) return value < 10_000 ? 4 : value < 100_000 ? 5 : 6;
  return value < 10_000_000 ? 7 : value < 100_000_000 ? 8 : value < 1_000_000_000 ? 9 : 10;
}
