import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Holds the number of the process that serves, for those who send it signals or watch it. */
export class PidFile {
  readonly #file: string;

  constructor(file: string) {
    this.#file = path.resolve(file);
  }

  /** From now on it is this process, until it ends or another one writes. @throws Error of the file system */
  write(): void {
    const next = `${this.#file}.${process.pid}`;
    // Nobody may find it empty.
    writeFileSync(next, `${process.pid}\n`);
    renameSync(next, this.#file);
    process.once('exit', () => this.#remove());
  }

  #remove(): void {
    try {
      if (readFileSync(this.#file, 'utf8') === `${process.pid}\n`) rmSync(this.#file);
    } catch {
      // Who removed it already wanted that.
    }
  }
}
