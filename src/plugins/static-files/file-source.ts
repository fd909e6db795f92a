import type { FileHandle } from 'node:fs/promises';
import type { BodySource } from '../../plugin/body-source.ts';

const PIECE = 64 * 1024;

/** A part of an open file as a body. Holds one piece at a time, and closes the file. */
export class FileSource implements BodySource {
  readonly length: number;
  readonly #handle: FileHandle;
  readonly #end: number;
  #at: number;
  #buffer: Buffer | undefined;
  #reading: Promise<unknown> | undefined;

  constructor(handle: FileHandle, start: number, end: number) {
    this.#handle = handle;
    this.#at = start;
    this.#end = end;
    this.length = end - start;
  }

  async read(): Promise<Uint8Array | undefined> {
    const size = Math.min(PIECE, this.#end - this.#at);
    if (size === 0) return undefined;
    this.#buffer ??= Buffer.allocUnsafeSlow(size);
    const reading = this.#handle.read(this.#buffer, 0, size, this.#at);
    this.#reading = reading;
    const { bytesRead } = await reading;
    // A file that has become shorter ends here, and who reads notices that bytes are missing.
    if (bytesRead === 0) return undefined;
    this.#at += bytesRead;
    return this.#buffer.subarray(0, bytesRead);
  }

  close(): void {
    const close = (): void => void this.#handle.close().catch(() => {});
    if (this.#reading === undefined) close();
    else this.#reading.then(close, close);
  }
}
