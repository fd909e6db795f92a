// The debug mode that makes a misuse of shared buffers visible: with SLUICE_POISON=1 every shared
// buffer is overwritten as soon as its contents may no longer be used. Bytes that outlive their
// callback then show up as 0xdb in an answer instead of as another client's data.

export const poisoning = process.env.SLUICE_POISON === '1';

export function poison(bytes: Uint8Array, start: number, end: number): void {
  bytes.fill(0xdb, start, end);
}
