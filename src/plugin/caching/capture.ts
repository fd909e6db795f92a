import type { BodyFilter, BodySink } from '../body-filter.ts';

/** Copies a body as it passes, and gives it away only when it is whole. */
export class Capture implements BodyFilter {
  readonly keepsLength = true;
  readonly original = true;
  readonly #most: number;
  readonly #done: (pieces: readonly Uint8Array[] | undefined) => void;
  #pieces: Uint8Array[] | undefined = [];
  #bytes = 0;

  /** `done` is called once, with undefined for a body that is larger than `most` bytes or not whole. */
  constructor(most: number, done: (pieces: readonly Uint8Array[] | undefined) => void) {
    this.#most = most;
    this.#done = done;
  }

  write(bytes: Uint8Array, next: BodySink): void {
    if (this.#pieces !== undefined) {
      this.#bytes += bytes.length;
      if (this.#bytes > this.#most) this.#finish(undefined);
      else this.#pieces.push(Buffer.from(bytes));
    }
    next.write(bytes);
  }

  end(next: BodySink): void {
    if (this.#pieces !== undefined) this.#finish(this.#pieces);
    next.end();
  }

  abort(): void {
    if (this.#pieces !== undefined) this.#finish(undefined);
  }

  #finish(pieces: readonly Uint8Array[] | undefined): void {
    this.#pieces = undefined;
    this.#done(pieces);
  }
}
