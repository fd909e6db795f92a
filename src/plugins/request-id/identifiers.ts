import type { Kit } from '../../plugin/kit.ts';

// Ids tell requests apart; they are no secrets, so the Kit's dice are good enough.

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const WORD = 2 ** 32;

/** A random UUID (RFC 9562 5.4). */
export function uuid(kit: Pick<Kit, 'random'>): string {
  const a = word(kit);
  const b = word(kit);
  const c = word(kit);
  const d = word(kit);
  return (
    `${hex(a, 24)}${hex(a, 16)}${hex(a, 8)}${hex(a, 0)}-${hex(b, 24)}${hex(b, 16)}` +
    `-${HEX[((b >>> 8) & 0x0f) | 0x40]}${hex(b, 0)}-${HEX[((c >>> 24) & 0x3f) | 0x80]}${hex(c, 16)}` +
    `-${hex(c, 8)}${hex(c, 0)}${hex(d, 24)}${hex(d, 16)}${hex(d, 8)}${hex(d, 0)}`
  );
}

/** So many characters out of a set. */
export function characters(kit: Pick<Kit, 'random'>, set: string, length: number): string {
  let result = '';
  for (let index = 0; index < length; index++) result += set[Math.floor(kit.random() * set.length)];
  return result;
}

// 2014-05-13T16:53:20Z, from which KSUIDs count seconds.
const KSUID_EPOCH_SECONDS = 1_400_000_000;
const KSUID_LENGTH = 27;
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** A KSUID: 4 bytes of seconds and 16 of chance, in base 62; sorts by time. */
export function ksuid(kit: Pick<Kit, 'random' | 'clock'>): string {
  const seconds = Math.floor(kit.clock.now() / 1000) - KSUID_EPOCH_SECONDS;
  // The number in base 2^32, most significant word first, divided by 62 again and again.
  const words = [seconds >>> 0, word(kit), word(kit), word(kit), word(kit)];
  let result = '';
  for (let digit = 0; digit < KSUID_LENGTH; digit++) {
    let remainder = 0;
    for (let index = 0; index < words.length; index++) {
      const value = remainder * WORD + words[index];
      words[index] = Math.floor(value / 62);
      remainder = value % 62;
    }
    result = BASE62[remainder] + result;
  }
  return result;
}

function word(kit: Pick<Kit, 'random'>): number {
  return Math.floor(kit.random() * WORD);
}

function hex(word: number, shift: number): string {
  return HEX[(word >>> shift) & 0xff];
}
