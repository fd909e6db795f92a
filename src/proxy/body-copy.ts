import { ChunkedScanner, type ChunkSink } from '../http/chunked.ts';

/** A copy of a request's body, made as it passes and given up when it gets too large. */
export class BodyCopy implements ChunkSink {
  readonly #maximum: number;
  readonly #decoder: ChunkedScanner | undefined;
  readonly #done = Promise.withResolvers<Uint8Array | undefined>();
  #pieces: Buffer[] = [];
  #size = 0;
  #over = false;

  constructor(maximum: number, chunked: boolean) {
    this.#maximum = maximum;
    if (!chunked) return;
    this.#decoder = new ChunkedScanner();
    this.#decoder.sink = this;
  }

  /** The whole body; undefined when it was too large, or never complete. */
  get whole(): Promise<Uint8Array | undefined> {
    return this.#done.promise;
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    if (this.#over) return;
    if (this.#decoder !== undefined) this.#decoder.scan(bytes, start, end);
    else this.onChunkData(bytes, start, end);
  }

  onChunkData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#over || start === end) return;
    this.#size += end - start;
    if (this.#size > this.#maximum) this.abandon();
    else this.#pieces.push(Buffer.from(bytes.subarray(start, end)));
  }

  complete(): void {
    this.#settle(() => Buffer.concat(this.#pieces));
  }

  abandon(): void {
    this.#settle(() => undefined);
  }

  #settle(result: () => Uint8Array | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#done.resolve(result());
    this.#pieces = [];
  }
}
