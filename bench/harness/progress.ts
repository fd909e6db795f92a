// Tells what is being measured and how long it will still take.

export class Progress {
  readonly #total: number;
  readonly #start = performance.now();
  readonly #terminal = process.stderr.isTTY === true;
  #finished = 0;
  #cases = 0;
  readonly #caseCount: number;
  #current = '';

  /** What all cases are expected to take. */
  constructor(caseSeconds: readonly number[]) {
    this.#caseCount = caseSeconds.length;
    this.#total = caseSeconds.reduce((sum, seconds) => sum + seconds, 0);
  }

  begin(title: string): void {
    this.#current = title;
    this.#cases++;
    this.#line(`[${this.#cases}/${this.#caseCount}] ${title}; ${this.#left()}`);
  }

  /** What is happening now; shown on a terminal only, where the next message replaces it. */
  step(what: string): void {
    if (this.#terminal) process.stderr.write(`\r\x1b[K    ${this.#current}: ${what}; ${this.#left()}`);
  }

  /** A line that stays. */
  note(text: string): void {
    this.#line(text);
  }

  end(seconds: number): void {
    this.#finished += seconds;
  }

  #left(): string {
    const elapsed = (performance.now() - this.#start) / 1000;
    const left = Math.max(0, this.#total - Math.max(this.#finished, Math.min(elapsed, this.#total)));
    return left < 60 ? `about ${Math.ceil(left)} s left` : `about ${(left / 60).toFixed(1)} min left`;
  }

  #line(text: string): void {
    process.stderr.write(`${this.#terminal ? '\r\x1b[K' : ''}${text}\n`);
  }
}
