import type { BodyCopy } from './body-copy.ts';

/** What Plugins want of a request's body as it passes; made for the Exchanges of which they want something. */
export class BodyWatch {
  #maximum = Number.POSITIVE_INFINITY;
  readonly #copies: BodyCopy[] = [];

  /** The smallest limit holds. */
  limit(bytes: number): void {
    this.#maximum = Math.min(bytes, this.#maximum);
  }

  add(copy: BodyCopy): void {
    this.#copies.push(copy);
  }

  /** Takes a piece, with which `size` bytes of data have come; false when that is too much. */
  onBody(bytes: Uint8Array, start: number, end: number, complete: boolean, size: number): boolean {
    if (size > this.#maximum) return false;
    for (const copy of this.#copies) {
      copy.add(bytes, start, end);
      if (complete) copy.complete();
    }
    return true;
  }

  /** The Exchange has ended. */
  end(): void {
    for (const copy of this.#copies) copy.abandon();
  }
}
