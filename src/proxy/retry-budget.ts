import type { RetryBudgetOptions } from '../model/upstream.ts';

/**
 * Bounds the retries that help nobody. Only those that fail are paid for, so that retries past a
 * Target that is down go on for ever; when everything is down, they are a fixed share of the
 * requests. Each worker has its own.
 */
export class RetryBudget {
  readonly #perRequest: number;
  readonly #reserve: number;
  #left: number;
  #reckoned = 0;
  /** Requests so far; counted by whoever forwards. */
  requests = 0;

  /** Goes on where `predecessor` was: a reload is no reason for more retries. */
  constructor({ percent, reserve }: RetryBudgetOptions, predecessor?: RetryBudget) {
    this.#perRequest = percent / 100;
    this.#reserve = reserve;
    this.#left = Math.min(reserve, predecessor?.left ?? reserve);
  }

  get left(): number {
    return this.#left;
  }

  /**
   * Whether there may be a retry. It is paid for when it has failed, not before: the many requests
   * that were under way to a Target when it died may all be retried at once. What they overdraw
   * together is paid back before there is another.
   */
  get allows(): boolean {
    const earned = (this.requests - this.#reckoned) * this.#perRequest;
    this.#reckoned = this.requests;
    // What a quiet time has saved up is for one retry at least, or no percentage would ever allow any.
    this.#left = Math.min(this.#left + earned, Math.max(this.#reserve, this.#perRequest > 0 ? 1 : 0));
    // Tenths don't add up to one exactly.
    return this.#left >= 1 - 1e-9;
  }

  /** A retry has failed. */
  charge(): void {
    this.#left--;
  }
}
