const FIRST_MS = 100;
const LONGEST_MS = 2000;

/**
 * Pauses between attempts: twice as long each time, up to two seconds, and each drawn from the upper
 * half of that, so that the workers and machines that lost Redis together don't come back together.
 */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds until the next attempt. */
  next(): number {
    const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#failures++);
    return whole * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
