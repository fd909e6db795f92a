/** How many numbers there are of each key. */
export const SHARED_NUMBERS = 112;

/**
 * Numbers that all workers share and that outlive a Runtime, not the process. A key is any string;
 * callers prefix it with what makes it theirs. A new key's numbers are zero; one that nobody asks
 * for in a month may be forgotten.
 */
export interface SharedNumbers {
  /**
   * Reads and changes the numbers of a key, alone among all threads: `change` must be short, and
   * must neither await nor ask for another key.
   */
  update<T>(key: string, change: (numbers: Float64Array) => T): T;
}
