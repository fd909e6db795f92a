import { CHUNK_BAD, CHUNK_MORE, ChunkedScanner, type ChunkSink, trailerFields } from '../http/chunked.ts';
import { addField, type Fields, fieldsOf } from './head-text.ts';

/** What becomes of a body's bytes: none come, so many, in chunks, until the connection's end. */
type Mode = 'none' | 'length' | 'chunked' | 'close';

/** Takes the framing of HTTP/1.1 off a body that the engine writes (RFC 9112 6). */
export class BodyReader {
  #mode: Mode = 'none';
  #left = 0;
  #scanner: ChunkedScanner | undefined;
  #sink: ChunkSink | undefined;
  /** The body's last byte was seen. */
  complete = true;

  /** Begins with a body as the head's fields describe it; `bare` when the message has none whatever they say. */
  begin(fields: readonly string[], bare: boolean, untilClose: boolean, sink: ChunkSink): void {
    this.#sink = sink;
    this.#mode = untilClose ? 'close' : 'none';
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === 'transfer-encoding') this.#mode = 'chunked';
      else if (fields[i] === 'content-length') {
        this.#mode = 'length';
        this.#left = Number(fields[i + 1]);
      }
    }
    if (bare || (this.#mode === 'length' && this.#left === 0)) this.#mode = 'none';
    this.complete = this.#mode === 'none';
    if (this.#mode === 'chunked') {
      this.#scanner = new ChunkedScanner();
      this.#scanner.sink = sink;
      this.#scanner.trailers = [];
    }
  }

  get chunked(): boolean {
    return this.#mode === 'chunked';
  }

  get untilClose(): boolean {
    return this.#mode === 'close';
  }

  /** Gives the data in these bytes to the sink. False when they are no such body. */
  read(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end) return true;
    if (this.complete) return false;
    if (this.#mode === 'chunked') {
      const result = this.#scanner!.scan(bytes, start, end);
      this.complete = result >= 0;
      return result !== CHUNK_BAD && (result === CHUNK_MORE || result === end);
    }
    if (this.#mode === 'length') {
      if (end - start > this.#left) return false;
      this.#left -= end - start;
      this.complete = this.#left === 0;
    }
    this.#sink!.onChunkData(bytes, start, end);
    return true;
  }

  /** The trailers that came with the last chunk. */
  trailers(): Fields {
    const fields = fieldsOf();
    const bytes = this.#scanner?.trailers ?? [];
    for (const [name, value] of trailerFields(bytes)) addField(fields, name.toLowerCase(), value);
    return fields;
  }
}
