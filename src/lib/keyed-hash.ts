/**
 * A keyed hash of strings, 96 bits wide, made for hash tables whose keys an attacker may choose.
 *
 * It is HalfSipHash-1-3 (Aumasson and Bernstein's SipHash on 32-bit words, as in Linux'
 * `lib/siphash.c`) with two changes: all 128 bits of the inner state are keyed, and 96 bits of the
 * final state are given out. Without the key nobody can do better than chance, so that the
 * probability that any two of n different strings share a hash is at most n² / 2^97: below 10^-19
 * for 65 536 strings.
 *
 * `of` leaves its result in `a`, `b` and `c` (signed 32-bit integers): a hash per request should
 * not allocate.
 */
export class KeyedHash {
  static readonly KEY_WORDS = 4;
  a = 0;
  b = 0;
  c = 0;
  readonly #k0: number;
  readonly #k1: number;
  readonly #k2: number;
  readonly #k3: number;

  /** Takes four random 32-bit words. */
  constructor(key: ArrayLike<number>) {
    this.#k0 = key[0] | 0;
    this.#k1 = key[1] | 0;
    this.#k2 = key[2] | 0;
    this.#k3 = key[3] | 0;
  }

  of(text: string): void {
    const length = text.length;
    let v0 = this.#k0;
    let v1 = this.#k1;
    let v2 = this.#k2;
    let v3 = this.#k3;
    let i = 0;
    // Four latin1 characters a word up to the first that isn't one, then two UTF-16 units a word.
    // Where that step lies is fed in with the length, so that no two strings feed the same words.
    for (; i + 4 <= length; i += 4) {
      const c0 = text.charCodeAt(i);
      const c1 = text.charCodeAt(i + 1);
      const c2 = text.charCodeAt(i + 2);
      const c3 = text.charCodeAt(i + 3);
      if ((c0 | c1 | c2 | c3) > 255) break;
      const word = c0 | (c1 << 8) | (c2 << 16) | (c3 << 24);
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    const step = i;
    for (let closing = 0; closing < 5; ) {
      let word = 0;
      if (i < length) {
        word = text.charCodeAt(i);
        if (i + 1 < length) word |= text.charCodeAt(i + 1) << 16;
        i += 2;
      } else {
        if (closing === 0) word = length;
        else if (closing === 1) word = step;
        else if (closing === 2) v2 ^= 0xff;
        closing++;
      }
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
    }
    this.a = v0 ^ v1;
    this.b = v1 ^ v2;
    this.c = v2 ^ v3;
  }
}
