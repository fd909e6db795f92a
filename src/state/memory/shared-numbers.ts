import { SHARED_NUMBERS, type SharedNumbers } from '../../plugin/shared-numbers.ts';
import { monotonic } from './monotonic-clock.ts';
import type { SharedTable } from './shared-table.ts';

const LIFETIME_MS = 30 * 86_400_000;

/** SharedNumbers in a SharedTable with SHARED_NUMBERS words per slot. What a dying worker has half changed stays so. */
export class MemoryNumbers implements SharedNumbers {
  readonly #table: SharedTable;
  readonly #now: () => number;

  constructor(table: SharedTable, now: () => number = monotonic) {
    if (table.wordsPerSlot < SHARED_NUMBERS) throw new RangeError('the table has too few words per slot');
    this.#table = table;
    this.#now = now;
  }

  update<T>(key: string, change: (numbers: Float64Array) => T): T {
    const table = this.#table;
    const now = this.#now();
    const slot = table.acquire(key, now);
    try {
      table.expiries[slot] = now + LIFETIME_MS;
      const start = slot * table.wordsPerSlot;
      return change(table.words.subarray(start, start + SHARED_NUMBERS));
    } finally {
      table.release();
    }
  }

  /** The same numbers to look at: changes are forgotten. */
  peek(): SharedNumbers {
    return {
      update: (key, change) => {
        const copy = new Float64Array(SHARED_NUMBERS);
        const table = this.#table;
        const slot = table.find(key, this.#now());
        if (slot >= 0) {
          const start = slot * table.wordsPerSlot;
          copy.set(table.words.subarray(start, start + SHARED_NUMBERS));
          table.release();
        }
        return change(copy);
      },
    };
  }
}
