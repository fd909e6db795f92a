import { randomFillSync } from 'node:crypto';

// Ids: 64 random bits for the process and 64 that count from a random start; unique, not secret.
const seed = randomFillSync(new Uint32Array(4));
const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');
const PAIRS = Array.from({ length: 256 }, (_, byte) => hex(byte, 2));
const processPart = hex(seed[0], 8) + hex(seed[1], 8);
let high = seed[2];
let low = seed[3];
let prefix = processPart + hex(high, 8);

/** An id of 32 hex digits that no other request has. */
export function newRequestId(): string {
  low = (low + 0x9e3779b1) >>> 0;
  if (low < 0x9e3779b1) {
    high = (high + 1) >>> 0;
    prefix = processPart + hex(high, 8);
  }
  return prefix + PAIRS[low >>> 24] + PAIRS[(low >>> 16) & 255] + PAIRS[(low >>> 8) & 255] + PAIRS[low & 255];
}
