import { CR, FOLDED, fieldValue, HEX, LF, TOKEN, VALUE } from './characters.ts';
import { nameMayTrail } from './known-header.ts';

const State = {
  SizeStart: 0,
  Size: 1,
  ExtensionStart: 2,
  ExtensionName: 3,
  ExtensionValueStart: 4,
  ExtensionValue: 5,
  Quoted: 6,
  Escaped: 7,
  ExtensionEnd: 8,
  SizeLf: 9,
  Data: 10,
  DataCr: 11,
  DataLf: 12,
  TrailerStart: 13,
  TrailerName: 14,
  TrailerValue: 15,
  TrailerLf: 16,
  EndLf: 17,
} as const;

/** No chunk is larger; keeps the arithmetic exact. */
const MAX_CHUNK = 2 ** 40;
/** Digits of a size; more could only be zeros without end, which count as no body. */
const MAX_DIGITS = 16;
/** Extensions and trailers together, per body: nobody needs more, and it is not counted as body. */
const MAX_DECORATION = 16 * 1024;

const SEMICOLON = 59;
const EQUALS = 61;
const QUOTE = 34;
const BACKSLASH = 92;
const COLON = 58;

export const CHUNK_MORE = -1;
export const CHUNK_BAD = -2;

/** Takes decoded pieces of a body; the bytes are only valid during the call. */
export interface ChunkSink {
  onChunkData(bytes: Uint8Array, start: number, end: number): void;
}

/** The fields of a trailer section as ChunkedScanner gives it, names as sent. */
export function trailerFields(bytes: readonly number[]): [name: string, value: string][] {
  if (bytes.length < 2) return [];
  return Buffer.from(bytes)
    .latin1Slice()
    .split('\r')
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), fieldValue(line.slice(colon + 1))];
    });
}

/**
 * Follows a chunked body (RFC 9112 7.1) byte by byte, so that what is forwarded as it came is
 * known to be well-formed, and tells where it ends. Without the white space that the grammar
 * tolerates in extensions, and without trailers that a recipient could take for framing,
 * routing or identity.
 */
export class ChunkedScanner {
  #state: number = State.SizeStart;
  #left = 0;
  #digits = 0;
  #decoration = 0;
  #nameHash = 0;
  /** Bytes of data seen so far, without the framing. */
  dataBytes = 0;
  /** Where decoded data goes, when somebody wants it. */
  sink: ChunkSink | null = null;
  /** Takes the bytes of the trailer section, each field ended by CR alone, when somebody wants them. */
  trailers: number[] | null = null;

  reset(): void {
    this.#state = State.SizeStart;
    this.#left = this.#decoration = this.dataBytes = 0;
    this.sink = null;
    this.trailers = null;
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
          this.#digits = 1;
          this.#state = State.Size;
          p++;
          break;
        case State.Size:
          if (HEX[byte] >= 0) {
            this.#left = this.#left * 16 + HEX[byte];
            if (this.#left > MAX_CHUNK || ++this.#digits > MAX_DIGITS) return CHUNK_BAD;
          } else if (byte === CR) this.#state = State.SizeLf;
          else if (byte === SEMICOLON) this.#state = State.ExtensionStart;
          else return CHUNK_BAD;
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
        case State.TrailerLf:
          if (byte !== LF) return CHUNK_BAD;
          this.#state = State.TrailerStart;
          p++;
          break;
        case State.EndLf:
          return byte === LF ? p + 1 : CHUNK_BAD;
        default:
          if (this.trailers !== null && this.#state >= State.TrailerStart) this.trailers.push(byte);
          if (++this.#decoration > MAX_DECORATION || !this.#decorate(byte)) return CHUNK_BAD;
          p++;
          break;
      }
    }
    return CHUNK_MORE;
  }

  /** Follows extensions and trailers, which are rare; false when the byte is not allowed. */
  #decorate(byte: number): boolean {
    switch (this.#state) {
      case State.ExtensionStart:
        this.#state = State.ExtensionName;
        return TOKEN[byte] !== 0;
      case State.ExtensionName:
        if (byte === EQUALS) this.#state = State.ExtensionValueStart;
        else if (TOKEN[byte] === 0) return this.#endExtension(byte);
        return true;
      case State.ExtensionValueStart:
        this.#state = byte === QUOTE ? State.Quoted : State.ExtensionValue;
        return byte === QUOTE || TOKEN[byte] !== 0;
      case State.ExtensionValue:
        return TOKEN[byte] !== 0 || this.#endExtension(byte);
      case State.Quoted:
        if (byte === QUOTE) this.#state = State.ExtensionEnd;
        else if (byte === BACKSLASH) this.#state = State.Escaped;
        return VALUE[byte] === 1;
      case State.Escaped:
        this.#state = State.Quoted;
        return VALUE[byte] === 1;
      case State.ExtensionEnd:
        return this.#endExtension(byte);
      case State.TrailerStart:
        this.#nameHash = FOLDED[byte];
        this.#state = byte === CR ? State.EndLf : State.TrailerName;
        return byte === CR || TOKEN[byte] !== 0;
      case State.TrailerName:
        if (byte === COLON) {
          this.#state = State.TrailerValue;
          return nameMayTrail(this.#nameHash);
        }
        this.#nameHash = (Math.imul(this.#nameHash, 31) + FOLDED[byte]) | 0;
        return TOKEN[byte] !== 0;
      default:
        if (byte === CR) this.#state = State.TrailerLf;
        return byte === CR || VALUE[byte] === 1;
    }
  }

  #endExtension(byte: number): boolean {
    this.#state = byte === CR ? State.SizeLf : State.ExtensionStart;
    return byte === CR || byte === SEMICOLON;
  }
}
