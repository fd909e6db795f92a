import { beginEvent } from '../lib/event-clock.ts';
import type { BodySource } from '../plugin/body-source.ts';

/** Who takes what a source gives. */
export interface SourceSink {
  onSourceData(bytes: Uint8Array): void;
  onSourceEnd(): void;
  onSourceFailure(error: unknown): void;
}

/** Reads a source piece by piece, as fast as it may. */
export class SourceReader {
  readonly #source: BodySource;
  readonly #sink: SourceSink;
  #left: number | undefined;
  #paused = false;
  #reading = false;
  #over = false;
  #ended = false;

  constructor(source: BodySource, sink: SourceSink) {
    this.#source = source;
    this.#sink = sink;
    this.#left = source.length;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    if (!this.#reading && !this.#over) void this.#read();
  }

  /** Nothing is given any more. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#source.close();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (!this.#paused && !this.#over) {
        const bytes = await this.#source.read();
        if (this.#over) return;
        beginEvent();
        if (this.#left !== undefined) this.#left -= bytes?.length ?? 0;
        if (bytes === undefined ? this.#left !== undefined && this.#left !== 0 : this.#left! < 0)
          throw new Error('the body is not as long as was said');
        if (bytes !== undefined) {
          this.#sink.onSourceData(bytes);
          continue;
        }
        this.#ended = true;
        this.stop();
        this.#sink.onSourceEnd();
      }
    } catch (error) {
      // What was let go of may well refuse to be read.
      if (this.#over && !this.#ended) return;
      this.stop();
      this.#sink.onSourceFailure(error);
    } finally {
      this.#reading = false;
    }
  }
}
