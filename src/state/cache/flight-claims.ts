// Which worker asks the Upstream for what, in memory that all workers share: so that of many requests
// for the same thing one goes, whatever worker they came to. It only saves requests. What it gets
// wrong, because two keys meet in one place, costs one.

import { randomFillSync } from 'node:crypto';
import { KeyedHash } from '../../lib/keyed-hash.ts';

const SLOTS = 65_536;
const KEY_WORDS = KeyedHash.KEY_WORDS;
const FINGERPRINTS = KEY_WORDS;
const OWNERS = FINGERPRINTS + SLOTS;
const WAITING = OWNERS + SLOTS;

export class FlightClaims {
  readonly #words: Int32Array;
  readonly #worker: number;
  readonly #hash: KeyedHash;

  static allocate(): SharedArrayBuffer {
    const memory = new SharedArrayBuffer((WAITING + SLOTS) * 4);
    const key = new Int32Array(KEY_WORDS);
    randomFillSync(key);
    new Int32Array(memory).set(key);
    return memory;
  }

  /** A worker that begins lets go of what its predecessor held. */
  constructor(memory: SharedArrayBuffer, worker: number) {
    this.#words = new Int32Array(memory);
    this.#worker = worker;
    this.#hash = new KeyedHash(this.#words.subarray(0, KEY_WORDS));
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#words[OWNERS + slot] === worker) this.#free(slot);
    }
  }

  /** `mine` from now on until `release`; `other` while another worker has it; `nobody` where its place is taken. */
  claim(key: string): 'mine' | 'other' | 'nobody' {
    const slot = this.#slotOf(key);
    const found = Atomics.compareExchange(this.#words, FINGERPRINTS + slot, 0, this.#fingerprint());
    if (found === 0) {
      Atomics.store(this.#words, OWNERS + slot, this.#worker);
      return 'mine';
    }
    if (found !== this.#fingerprint()) return 'nobody';
    return Atomics.load(this.#words, OWNERS + slot) === this.#worker ? 'nobody' : 'other';
  }

  /** Whether another worker wants to hear of it. */
  release(key: string): boolean {
    return this.#free(this.#slotOf(key));
  }

  /** Announces that this worker wants to hear of a release; false when it has happened already. */
  await(key: string): boolean {
    const slot = this.#slotOf(key);
    Atomics.store(this.#words, WAITING + slot, 1);
    return Atomics.load(this.#words, FINGERPRINTS + slot) === this.#fingerprint();
  }

  #free(slot: number): boolean {
    Atomics.store(this.#words, OWNERS + slot, 0);
    Atomics.store(this.#words, FINGERPRINTS + slot, 0);
    return Atomics.exchange(this.#words, WAITING + slot, 0) === 1;
  }

  #slotOf(key: string): number {
    this.#hash.of(key);
    return (this.#hash.a >>> 0) % SLOTS;
  }

  /** Of the key hashed last; never 0. */
  #fingerprint(): number {
    return this.#hash.b | 1;
  }
}
