import type { BodyFilter, BodySink } from '../../plugin/body-filter.ts';

/** Lets a body through piece by piece, each when its turn comes. */
export class PacedBody implements BodyFilter {
  readonly keepsLength = true;
  readonly #piece: number;
  readonly #turn: (bytes: number) => number | Promise<number>;
  readonly #delay: (milliseconds: number) => Promise<void>;
  /** Bytes that may still go without waiting. */
  #free: number;
  #waiting: Buffer | undefined;
  #ending = false;
  #aborted = false;

  /** `turn` says after how many milliseconds the next so many bytes may go. */
  constructor(
    piece: number,
    free: number,
    turn: (bytes: number) => number | Promise<number>,
    delay: (milliseconds: number) => Promise<void>,
  ) {
    this.#piece = piece;
    this.#free = free;
    this.#turn = turn;
    this.#delay = delay;
  }

  write(bytes: Uint8Array, next: BodySink): boolean {
    const free = this.#waiting === undefined ? Math.min(this.#free, bytes.length) : 0;
    if (free > 0) {
      this.#free -= free;
      next.write(bytes.subarray(0, free));
      if (free === bytes.length) return true;
    }
    const rest = bytes.subarray(free);
    if (this.#waiting !== undefined) {
      this.#waiting = Buffer.concat([this.#waiting, rest]);
      return false;
    }
    this.#waiting = Buffer.from(rest);
    void this.#send(next);
    return false;
  }

  end(next: BodySink): void {
    this.#ending = true;
    if (this.#waiting === undefined) next.end();
  }

  abort(): void {
    this.#aborted = true;
    this.#waiting = undefined;
  }

  async #send(next: BodySink): Promise<void> {
    try {
      while (this.#waiting !== undefined && this.#waiting.length > 0) {
        const size = Math.min(this.#piece, this.#waiting.length);
        const turn = await this.#turn(size);
        if (turn > 0) await this.#delay(turn);
        if (this.#aborted) return;
        const piece = this.#waiting.subarray(0, size);
        this.#waiting = this.#waiting.subarray(size);
        next.write(piece);
      }
    } catch (error) {
      next.fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#waiting = undefined;
    if (this.#ending) next.end();
    else next.resume();
  }
}
