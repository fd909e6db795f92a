// Lines on their way to a file or to standard output, in bounded memory.
//
// Two buffers: lines are formatted into one while the other is written. Whoever reads a pipe may
// stop reading, and a disk may fill up: then the buffer under way is tried again and again, the other
// one fills, and further lines are dropped and counted. No line is ever written in part, and nothing
// here waits.

import { close, constants, fstat, open, type Stats, write } from 'node:fs';
import { promisify } from 'node:util';
import type { Latin1Buffer } from '../model/exchange-record.ts';

const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);

export type LineDestination = 'stdout' | { readonly file: string };

export interface LineSinkOptions {
  readonly destination: LineDestination;
  /** The most memory for lines not yet written, in bytes. */
  readonly capBytes: number;
  /** Told when writing begins to fail or to be too slow, and when it works again. */
  readonly onTrouble: (message: string) => void;
}

/** Enough for a system call to be worth it. */
const WRITE_BYTES = 65_536;
/** A line waits no longer for others to be written with. */
const WRITE_AFTER_MS = 50;
const STDOUT = 1;
const NEWLINE = 10;

interface LineBuffer {
  readonly bytes: Latin1Buffer;
  length: number;
  lines: number;
}

export class LineSink {
  readonly #destination: LineDestination;
  readonly #onTrouble: (message: string) => void;
  readonly #done = (error: NodeJS.ErrnoException | null, written: number) => this.#written(error, written);
  #fd: number;
  #filling: LineBuffer;
  #idle: LineBuffer;
  /** The buffer under way, of which `#offset` bytes are written. */
  #writing: LineBuffer | undefined;
  #offset = 0;
  #fillingSince = 0;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = 0;
  #failing = false;
  #dropped = 0;
  /** While lines are being dropped: how many had been before. */
  #droppedBefore: number | undefined;
  #lines = 0;
  #reopening: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  /** A write has been handed to the system and has not come back. */
  #inSystem = false;
  #closed = false;

  /** Opens the destination. Rejects with the system's error when it can't be opened. */
  static async open(options: LineSinkOptions): Promise<LineSink> {
    return new LineSink(options, await openDestination(options.destination));
  }

  private constructor({ destination, capBytes, onTrouble }: LineSinkOptions, fd: number) {
    const lineBuffer = (): LineBuffer => ({
      bytes: Buffer.allocUnsafeSlow(capBytes >> 1) as Latin1Buffer,
      length: 0,
      lines: 0,
    });
    this.#destination = destination;
    this.#onTrouble = onTrouble;
    this.#fd = fd;
    this.#filling = lineBuffer();
    this.#idle = lineBuffer();
  }

  /** Lines dropped for want of room, and lines lost at `close`. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Lines taken. */
  get lines(): number {
    return this.#lines;
  }

  /** Whoever can hold lines back should. */
  get isPressed(): boolean {
    return this.#writing !== undefined && this.#filling.length * 2 > this.#filling.bytes.length;
  }

  /** Where the next line goes, from `position`; valid after `reserve` until `commit`. */
  get bytes(): Latin1Buffer {
    return this.#filling.bytes;
  }

  get position(): number {
    return this.#filling.length;
  }

  /** Makes room for a line of up to `length` bytes, or counts it as dropped and says false. */
  reserve(length: number): boolean {
    if (this.#filling.length + length <= this.#filling.bytes.length) return true;
    this.#start();
    if (this.#filling.length + length <= this.#filling.bytes.length) return true;
    if (this.#droppedBefore === undefined) {
      this.#droppedBefore = this.#dropped;
      this.#onTrouble('the access log is not written as fast as lines come; lines are dropped');
    }
    this.#dropped++;
    return false;
  }

  /** Takes the line that was put at `position` and ends, with its newline, before `end`. */
  commit(end: number, now: number): void {
    const filling = this.#filling;
    if (filling.length === 0) this.#fillingSince = now;
    filling.length = end;
    filling.lines++;
    this.#lines++;
    if (end >= WRITE_BYTES) this.#start();
  }

  /** To be called now and then: writes lines that have waited long enough. `now` in milliseconds. */
  tick(now: number): void {
    if (this.#filling.length > 0 && now - this.#fillingSince >= WRITE_AFTER_MS) this.#start();
  }

  /** Opens the file again by its name, after it was renamed. Never rejects: when the new one can't be opened, the old one stays. */
  reopen(): Promise<void> {
    if (this.#destination === 'stdout') return Promise.resolve();
    this.#reopening ??= this.#replaceFile().finally(() => {
      this.#reopening = undefined;
      this.#continue();
    });
    return this.#reopening;
  }

  /** Writes what is there and closes; gives up after `patienceMs` and counts the rest as dropped. */
  async close(patienceMs: number): Promise<void> {
    await this.#reopening;
    const deadline = performance.now() + patienceMs;
    while ((this.#writing !== undefined || this.#filling.length > 0) && performance.now() < deadline) {
      this.#start();
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
        setTimeout(resolve, 10);
      });
    }
    clearTimeout(this.#retry);
    this.#closed = true;
    const left = this.#writing;
    if (left !== undefined) this.#dropped += countLines(left.bytes, this.#offset, left.length);
    this.#dropped += this.#filling.lines;
    // A descriptor that the system is still busy with is closed when it is given back.
    if (!this.#inSystem) this.#closeFile();
  }

  #closeFile(): void {
    if (this.#fd !== STDOUT) close(this.#fd);
  }

  /** Sends the filling buffer on its way, unless another one is. */
  #start(): void {
    if (this.#writing !== undefined || this.#filling.length === 0) return;
    this.#writing = this.#filling;
    this.#offset = 0;
    this.#filling = this.#idle;
    this.#continue();
  }

  #continue(): void {
    const buffer = this.#writing;
    if (buffer === undefined || this.#inSystem || this.#reopening !== undefined) return;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#inSystem = true;
    write(this.#fd, buffer.bytes, this.#offset, buffer.length - this.#offset, null, this.#done);
  }

  #written(error: NodeJS.ErrnoException | null, written: number): void {
    this.#inSystem = false;
    if (this.#closed) {
      this.#closeFile();
      return;
    }
    const buffer = this.#writing!;
    if (error !== null || written === 0) {
      this.#tryLater(error);
      return;
    }
    this.#retryMs = 0;
    if (this.#failing) {
      this.#failing = false;
      this.#onTrouble('the access log is being written again');
    }
    this.#offset += written;
    if (this.#offset < buffer.length) {
      this.#continue();
      return;
    }
    buffer.length = 0;
    buffer.lines = 0;
    this.#idle = buffer;
    this.#writing = undefined;
    if (this.#droppedBefore !== undefined) {
      this.#onTrouble(`the access log goes on after ${this.#dropped - this.#droppedBefore} dropped lines`);
      this.#droppedBefore = undefined;
    }
    if (this.#filling.length >= WRITE_BYTES) this.#start();
    this.#onIdle?.();
  }

  #tryLater(error: NodeJS.ErrnoException | null): void {
    // A full pipe is the reader's way to say "slower", not trouble; it is soon read again or not at all.
    const busy = error === null || error.code === 'EAGAIN';
    if (!busy && !this.#failing) {
      this.#failing = true;
      this.#onTrouble(`the access log can't be written: ${error.message}`);
    }
    this.#retryMs = Math.min(Math.max(this.#retryMs * 2, busy ? 1 : 50), busy ? 50 : 1000);
    this.#retry = setTimeout(() => this.#continue(), this.#retryMs);
  }

  async #replaceFile(): Promise<void> {
    let fd: number;
    try {
      fd = await openDestination(this.#destination);
    } catch (error) {
      this.#onTrouble(`the access log can't be opened again: ${(error as Error).message}`);
      return;
    }
    // The write under way belongs to the old file.
    while (this.#inSystem) await new Promise((resolve) => setImmediate(resolve));
    const old = this.#fd;
    this.#fd = fd;
    if (this.#writing !== undefined) {
      // The rest goes to the new file, from the beginning of the line that the old one has half of.
      this.#offset = this.#offset === 0 ? 0 : this.#writing.bytes.lastIndexOf(NEWLINE, this.#offset - 1) + 1;
    }
    await closeFile(old);
  }
}

/**
 * A pipe or terminal is opened anew without blocking: a blocked write would hold one of the few
 * threads that all of the process's file and DNS work shares, and the end of the process with it. The
 * descriptor itself can't be changed, since others (the shell, a parent) share its flags. A file is
 * used as it is, since the offset is shared too.
 */
async function openDestination(destination: LineDestination): Promise<number> {
  const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;
  if (destination !== 'stdout') {
    return openFile(destination.file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o640);
  }
  const stat: Stats = await statFile(STDOUT);
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return STDOUT;
  try {
    return await openFile(`/proc/self/fd/${STDOUT}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return STDOUT;
  }
}

function countLines(bytes: Buffer, start: number, end: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE, start); at !== -1 && at < end; at = bytes.indexOf(NEWLINE, at + 1))
    lines++;
  return lines;
}
