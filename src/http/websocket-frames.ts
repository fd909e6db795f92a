const CLOSE = 8;
const MASKED = 0x80;

/** Knows where the frames of a WebSocket end (RFC 6455 5.2) in the bytes of one direction, without holding any. */
export class FrameFollower {
  #opcode = 0;
  /** Bytes of the frame's head seen, and how many it has. */
  #seen = 0;
  #head = 2;
  /** Where the head's extended length ends. */
  #lengthEnd = 2;
  #length = 0;
  /** Bytes of the payload still to come. */
  #left = 0;
  /** A Close frame has passed: no frame may follow. */
  closed = false;

  /** The last byte seen was a frame's last: another frame may stand here. */
  get between(): boolean {
    return this.#seen === 0 && this.#left === 0;
  }

  /** Follows all bytes, or up to the first place between two frames; where it stopped. */
  follow(bytes: Uint8Array, start: number, end: number, stopBetween: boolean): number {
    let p = start;
    while (p < end && !(stopBetween && this.between)) {
      if (this.#left > 0) {
        const there = Math.min(end - p, this.#left);
        this.#left -= there;
        p += there;
      } else this.#onHeadByte(bytes[p++]);
      if (this.#opcode === CLOSE && this.between) this.closed = true;
    }
    return p;
  }

  #onHeadByte(byte: number): void {
    const index = this.#seen++;
    if (index === 0) {
      this.#opcode = byte & 15;
      this.#head = 2;
      return;
    }
    if (index === 1) {
      const short = byte & 127;
      this.#lengthEnd = short === 127 ? 10 : short === 126 ? 4 : 2;
      this.#length = short < 126 ? short : 0;
      this.#head = this.#lengthEnd + ((byte & MASKED) === 0 ? 0 : 4);
    } else if (index < this.#lengthEnd) this.#length = this.#length * 256 + byte;
    if (this.#seen < this.#head) return;
    this.#seen = 0;
    this.#left = this.#length;
  }
}

/** A Close frame that a server sends, or, with a mask, a client; `code` as in RFC 6455 7.4. */
export function closeFrame(code: number, masked: boolean): Buffer {
  const payload = Buffer.from([code >> 8, code & 255]);
  if (!masked) return Buffer.concat([Buffer.from([0x80 | CLOSE, 2]), payload]);
  const mask = crypto.getRandomValues(new Uint8Array(4));
  for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i];
  return Buffer.concat([Buffer.from([0x80 | CLOSE, MASKED | 2]), mask, payload]);
}
