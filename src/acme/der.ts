// DER (X.690), as much as a certificate request and a certificate for a challenge take.

const TAG = { integer: 2, bits: 3, octets: 4, oid: 6, utf8: 12, time: 23, sequence: 48, set: 49 } as const;

function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

export const sequence = (...items: readonly Uint8Array[]): Buffer => element(TAG.sequence, ...items);
export const set = (...items: readonly Uint8Array[]): Buffer => element(TAG.set, ...items);
export const octets = (bytes: Uint8Array): Buffer => element(TAG.octets, bytes);
export const bits = (bytes: Uint8Array): Buffer => element(TAG.bits, Buffer.of(0), bytes);
export const utf8 = (text: string): Buffer => element(TAG.utf8, Buffer.from(text));
export const yes: Buffer = Buffer.of(1, 1, 255);

/** A number without sign. */
export function integer(bytes: Uint8Array): Buffer {
  return element(TAG.integer, bytes[0] < 128 ? bytes : Buffer.concat([Buffer.of(0), bytes]));
}

/** An element that its place gives a meaning: `[number]`, around others or in the place of a text. */
export function tagged(number: number, ...contents: readonly Uint8Array[]): Buffer {
  return element(0xa0 + number, ...contents);
}
export function taggedText(number: number, text: string): Buffer {
  return element(0x80 + number, Buffer.from(text, 'latin1'));
}

/** `1.2.840` and so on. */
export function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 127];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return element(TAG.oid, Buffer.from(bytes));
}

/** Unix milliseconds as UTCTime, good until 2049. */
export function time(at: number): Buffer {
  const text = new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return element(TAG.time, Buffer.from(`${text}Z`));
}
