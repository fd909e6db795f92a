import { CHUNK_BAD, CHUNK_MORE, ChunkedScanner } from './chunked.ts';

/** Follows one message's body to its end (RFC 9112 6): by its length, by chunks, or to the connection's end. */
export class BodyFraming {
  /** The body's last byte has been seen. */
  complete = true;
  /** Bytes still to come; -1 while that is not known. */
  left = 0;
  /** The end of the connection is the body's end. */
  untilClose = false;
  #chunks: ChunkedScanner | null = null;
  #chunked = false;

  /** A body of so many bytes; 0 is none. */
  beginLength(length: number): void {
    this.#chunked = this.untilClose = false;
    this.left = length;
    this.complete = length === 0;
  }

  /** A body in chunks, with extensions and trailers (RFC 9112 7.1). */
  beginChunked(): void {
    this.#chunked = true;
    this.untilClose = false;
    this.left = -1;
    this.complete = false;
    this.#chunks ??= new ChunkedScanner();
    this.#chunks.reset();
  }

  /** A body that the end of the connection ends. */
  beginUntilClose(): void {
    this.#chunked = false;
    this.untilClose = true;
    this.left = -1;
    this.complete = false;
  }

  /** Bytes of data seen in chunks so far, without the framing. */
  get chunkedBytes(): number {
    return this.#chunked ? this.#chunks!.dataBytes : 0;
  }

  /** Where the body's bytes end in this piece; -1 when it is malformed. */
  follow(bytes: Uint8Array, start: number, end: number): number {
    if (this.left >= 0) {
      const taken = Math.min(end - start, this.left);
      this.left -= taken;
      this.complete = this.left === 0;
      return start + taken;
    }
    if (!this.#chunked) return end;
    const bodyEnd = this.#chunks!.scan(bytes, start, end);
    if (bodyEnd === CHUNK_BAD) return -1;
    if (bodyEnd === CHUNK_MORE) return end;
    this.complete = true;
    return bodyEnd;
  }
}
