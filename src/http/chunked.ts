import { CR, HEX, LF, TOKEN, VALUE } from './characters.ts';

const State = {
  SizeStart: 0,
  Size: 1,
  Extension: 2,
  SizeLf: 3,
  Data: 4,
  DataCr: 5,
  DataLf: 6,
  TrailerStart: 7,
  TrailerName: 8,
  TrailerValue: 9,
  TrailerLf: 10,
  EndLf: 11,
} as const;

/** No chunk is larger; keeps the arithmetic exact. */
const MAX_CHUNK = 2 ** 40;
/** Extensions and trailers together, per body: nobody needs more, and it is not counted as body. */
const MAX_DECORATION = 16 * 1024;

export const CHUNK_MORE = -1;
export const CHUNK_BAD = -2;

/** Takes decoded pieces of a body; the bytes are only valid during the call. */
export interface ChunkSink {
  onChunkData(bytes: Uint8Array, start: number, end: number): void;
}

/**
 * Follows a chunked body (RFC 9112 7.1) byte by byte, so that what is forwarded as it came is
 * known to be well-formed, and tells where it ends.
 */
export class ChunkedScanner {
  #state: number = State.SizeStart;
  #left = 0;
  #decoration = 0;
  /** Bytes of data seen so far, without the framing. */
  dataBytes = 0;
  /** Where decoded data goes, when somebody wants it. */
  sink: ChunkSink | null = null;

  reset(): void {
    this.#state = State.SizeStart;
    this.#left = this.#decoration = this.dataBytes = 0;
    this.sink = null;
  }

  /** The offset after the body's last byte, CHUNK_MORE or CHUNK_BAD. */
  scan(bytes: Uint8Array, start: number, end: number): number {
    let p = start;
    while (p < end) {
      const byte = bytes[p];
      switch (this.#state) {
        case State.SizeStart:
          if (HEX[byte] < 0) return CHUNK_BAD;
          this.#left = HEX[byte];
          this.#state = State.Size;
          p++;
          break;
        case State.Size:
          if (HEX[byte] >= 0) {
            this.#left = this.#left * 16 + HEX[byte];
            if (this.#left > MAX_CHUNK) return CHUNK_BAD;
          } else if (byte === CR) this.#state = State.SizeLf;
          else if (byte === 59) this.#state = State.Extension;
          else return CHUNK_BAD;
          p++;
          break;
        case State.Extension:
          if (byte === CR) this.#state = State.SizeLf;
          else if (VALUE[byte] === 0 || ++this.#decoration > MAX_DECORATION) return CHUNK_BAD;
          p++;
          break;
        case State.SizeLf:
          if (byte !== LF) return CHUNK_BAD;
          p++;
          this.#state = this.#left === 0 ? State.TrailerStart : State.Data;
          break;
        case State.Data: {
          const there = Math.min(end - p, this.#left);
          if (this.sink !== null) this.sink.onChunkData(bytes, p, p + there);
          this.dataBytes += there;
          this.#left -= there;
          p += there;
          if (this.#left === 0) this.#state = State.DataCr;
          break;
        }
        case State.DataCr:
          if (byte !== CR) return CHUNK_BAD;
          this.#state = State.DataLf;
          p++;
          break;
        case State.DataLf:
          if (byte !== LF) return CHUNK_BAD;
          this.#state = State.SizeStart;
          p++;
          break;
        case State.TrailerStart:
          if (byte === CR) this.#state = State.EndLf;
          else if (TOKEN[byte] === 0) return CHUNK_BAD;
          else this.#state = State.TrailerName;
          p++;
          break;
        case State.TrailerName:
          if (byte === 58) this.#state = State.TrailerValue;
          else if (TOKEN[byte] === 0) return CHUNK_BAD;
          if (++this.#decoration > MAX_DECORATION) return CHUNK_BAD;
          p++;
          break;
        case State.TrailerValue:
          if (byte === CR) this.#state = State.TrailerLf;
          else if (VALUE[byte] === 0 || ++this.#decoration > MAX_DECORATION) return CHUNK_BAD;
          p++;
          break;
        case State.TrailerLf:
          if (byte !== LF) return CHUNK_BAD;
          this.#state = State.TrailerStart;
          p++;
          break;
        default:
          return byte === LF ? p + 1 : CHUNK_BAD;
      }
    }
    return CHUNK_MORE;
  }
}
