import { timingSafeEqual } from 'node:crypto';

/**
 * Compares two texts in a time that depends on their length alone, not on where they differ. Whoever
 * measures can learn at most how long the secret is.
 */
export function equalInConstantTime(given: string | Uint8Array, secret: string | Uint8Array): boolean {
  const left = bytes(given);
  const right = bytes(secret);
  if (left.byteLength !== right.byteLength) {
    timingSafeEqual(left, left);
    return false;
  }
  return timingSafeEqual(left, right);
}

function bytes(value: string | Uint8Array): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
}
