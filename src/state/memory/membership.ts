/** The largest worker number; 0 is the main thread's. */
export const MAX_WORKERS = 127;
const INCARNATIONS = 1 << 24;
/** Main thread: worker 0 in its only incarnation. */
const MAIN_INCARNATION = 1;

/**
 * Which worker threads live, in shared memory. A worker number is reused by the worker that
 * replaces a dead one; the incarnation tells them apart.
 *
 * Lifecycle: the supervisor calls `admit(n)` before it starts worker n, passes the incarnation on,
 * and calls `dismiss(n)` in the thread's 'exit' event, not before: what the dead held is taken
 * over from that moment on, so the thread must have run its last instruction.
 */
export class Membership {
  static readonly MAIN = Membership.token(0, MAIN_INCARNATION);

  /** Room for workers 1 to `workers`. */
  static allocate(workers: number): SharedArrayBuffer {
    if (!Number.isInteger(workers) || workers < 0 || workers > MAX_WORKERS)
      throw new RangeError(`workers must be an integer from 0 to ${MAX_WORKERS}`);
    const buffer = new SharedArrayBuffer((workers + 1) * 8);
    new Int32Array(buffer).set([MAIN_INCARNATION, MAIN_INCARNATION]);
    return buffer;
  }

  /** Names a worker in one of its lives; a positive 31-bit integer. */
  static token(worker: number, incarnation: number): number {
    return (worker << 24) | incarnation;
  }

  static workerOf(token: number): number {
    return token >>> 24;
  }

  /** Worker numbers are below this. */
  readonly size: number;
  /** Two words a worker: the living incarnation or 0, and the last one given out. */
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.size = this.#words.length / 2;
  }

  /** Gives worker n its next incarnation and counts it as alive. */
  admit(worker: number): number {
    if (worker <= 0 || worker >= this.size) throw new RangeError(`no worker ${worker}`);
    const last = Atomics.load(this.#words, worker * 2 + 1);
    const incarnation = last + 1 < INCARNATIONS ? last + 1 : 1;
    Atomics.store(this.#words, worker * 2 + 1, incarnation);
    Atomics.store(this.#words, worker * 2, incarnation);
    return incarnation;
  }

  dismiss(worker: number): void {
    if (worker <= 0 || worker >= this.size) throw new RangeError(`no worker ${worker}`);
    Atomics.store(this.#words, worker * 2, 0);
  }

  /** Does the one that the token names still live? */
  lives(token: number): boolean {
    const worker = token >>> 24;
    return worker < this.size && Atomics.load(this.#words, worker * 2) === (token & (INCARNATIONS - 1));
  }
}
