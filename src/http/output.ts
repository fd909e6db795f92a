// The buffer in which messages are put together before one write sends head and first body bytes
// at once (one write instead of two saves 6.9 us per message). Shared by all connections of the
// thread: filled and sent without leaving the stack. When the system couldn't take all of it at
// once, the buffer is the system's and a fresh one takes its place.

import { copyBytes } from '../lib/latin1.ts';
import { poison, poisoning } from './poison.ts';
import { type Transport, WRITTEN, type WriteResult } from './transport.ts';

const SIZE = 80 * 1024;
/** Below this a loop beats the call. */
const SHORT = 40;

class Output {
  bytes: Buffer = Buffer.allocUnsafeSlow(SIZE);
  length = 0;

  /** Begins a message. */
  begin(): void {
    this.length = 0;
  }

  /** How many more bytes fit. */
  get room(): number {
    return this.bytes.length - this.length;
  }

  put(from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (size > this.bytes.length - this.length) this.#enlarge(size);
    const { bytes } = this;
    let at = this.length;
    if (size < SHORT) for (let i = start; i < end; i++) bytes[at++] = from[i];
    else copyBytes(from, start, end, bytes, at);
    this.length += size;
  }

  putAll(from: Uint8Array): void {
    this.put(from, 0, from.length);
  }

  putText(text: string): void {
    if (text.length > this.bytes.length - this.length) this.#enlarge(text.length);
    this.length += this.bytes.latin1Write(text, this.length);
  }

  putNumber(value: number): void {
    this.putText(String(value));
  }

  /** Sends what was put. */
  send(transport: Transport): WriteResult {
    const { bytes, length } = this;
    const result = transport.write(bytes, 0, length);
    if (result !== WRITTEN || bytes.length > SIZE) this.bytes = Buffer.allocUnsafeSlow(SIZE);
    else if (poisoning) poison(bytes, 0, length);
    this.length = 0;
    return result;
  }

  /** Sends bytes that are only valid now, by way of this buffer. */
  relay(transport: Transport, from: Uint8Array, start: number, end: number): WriteResult {
    let result: WriteResult = WRITTEN;
    for (let at = start; at < end; at += SIZE) {
      this.begin();
      this.put(from, at, Math.min(end, at + SIZE));
      result = this.send(transport);
    }
    return result;
  }

  #enlarge(size: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + size));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }
}

export const output = new Output();
