// Node's byte-for-byte text conversions. They are older than their documented wrappers
// (`toString('latin1')`, `write(text, 'latin1')`), which cost twice as much on short texts.

declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
  }
}

const { copy } = Buffer.prototype;

/** Copies `from[start, end)` to `to` at `at`, without the view of `from` that `set` would need. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  copy.call(from, to, at, start, end);
}

/** The text of some bytes, one character for each. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).latin1Slice(0, bytes.byteLength);
}
