import { monotonic } from './monotonic-clock.ts';
import type { SharedTable } from './shared-table.ts';

// A ticket that isn't asked for by name for a month may be forgotten; among the rest, the one that
// was named longest ago gives way first.
const LIFETIME_MS = 30 * 86_400_000;

/** A number that grows by one with each call, whichever worker calls. */
export interface Ticket {
  /** From 0 to 2^32 - 1, then from 0 again. Every worker's call gives another number. */
  next(): number;
}

class TableTicket implements Ticket {
  readonly #table: SharedTable;
  readonly #cells: Int32Array;
  readonly #key: string;
  readonly #now: () => number;
  #slot = 0;
  #tag = 0;

  constructor(table: SharedTable, cells: Int32Array, key: string, now: () => number) {
    this.#table = table;
    this.#cells = cells;
    this.#key = key;
    this.#now = now;
    this.#locate();
  }

  next(): number {
    // The entry may be evicted between the look and the addition. Then another key's ticket skips
    // one number, which does no harm: this table holds nothing but tickets.
    if (this.#table.tagOf(this.#slot) !== this.#tag) this.#locate();
    return Atomics.add(this.#cells, this.#slot * this.#table.wordsPerSlot * 2, 1) >>> 0;
  }

  #locate(): void {
    const now = this.#now();
    const slot = this.#table.acquire(this.#key, now);
    this.#table.expiries[slot] = now + LIFETIME_MS;
    this.#slot = slot;
    this.#tag = this.#table.tagOf(slot);
    this.#table.release();
  }
}

/** Named tickets shared by all workers, in a SharedTable of their own (one word per slot is enough). */
export class SharedCounters {
  readonly #table: SharedTable;
  readonly #cells: Int32Array;
  readonly #now: () => number;

  constructor(table: SharedTable, now: () => number = monotonic) {
    this.#table = table;
    this.#cells = new Int32Array(table.words.buffer, table.words.byteOffset, table.words.length * 2);
    this.#now = now;
  }

  /** To be resolved when the configuration changes; `next` is then one look and one atomic addition. */
  ticket(key: string): Ticket {
    return new TableTicket(this.#table, this.#cells, key, this.#now);
  }

  /** A ticket's next number by name, where it is needed once. */
  nextTicket(key: string): number {
    return this.ticket(key).next();
  }
}
