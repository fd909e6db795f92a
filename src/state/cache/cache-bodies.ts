import type { MaybePromise } from '../../plugin/limits.ts';
import type { BodyPlace, SharedEntry } from './cache-message.ts';

/** An entry with views of its memory, made once: a view for each use would be garbage. */
export interface HeldEntry extends SharedEntry {
  bytes: Uint8Array | undefined;
  used: Uint32Array | undefined;
}

/** Where a zone keeps bodies. */
export interface CacheBodies {
  /** Bytes that the bodies of one worker may take. */
  readonly limit: number;
  /** Keeps a copy of a body; undefined when that can't be done. */
  keep(entry: Omit<SharedEntry, 'place'>, pieces: readonly Uint8Array[]): MaybePromise<BodyPlace | undefined>;
  read(entry: HeldEntry): MaybePromise<Uint8Array | undefined>;
  /** By its owner, when an entry is dropped. */
  drop(entry: SharedEntry): void;
  /** Says that an entry was used, to its owner, wherever that is. */
  touch(entry: HeldEntry, second: number): void;
  /** The second in which an entry was last used anywhere. */
  touched(entry: HeldEntry): number;
}

/** Bytes before a body: the second of its last use, which all threads write. */
const HEAD = 8;

/** Bodies in memory that all threads share: there once, whoever sends it. */
export class MemoryBodies implements CacheBodies {
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  keep({ size }: Pick<SharedEntry, 'size'>, pieces: readonly Uint8Array[]): BodyPlace {
    const memory = new SharedArrayBuffer(HEAD + size);
    const bytes = new Uint8Array(memory);
    let at = HEAD;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return memory;
  }

  read(entry: Pick<HeldEntry, 'place' | 'bytes'>): Uint8Array {
    return (entry.bytes ??= new Uint8Array(entry.place as SharedArrayBuffer, HEAD));
  }

  drop(): void {}

  touch(entry: HeldEntry, second: number): void {
    usedOf(entry)[0] = second;
  }

  touched(entry: HeldEntry): number {
    return usedOf(entry)[0];
  }
}

/** The second of its last use. */
export function usedOf(entry: HeldEntry): Uint32Array {
  if (entry.used !== undefined) return entry.used;
  const { place } = entry;
  const memory = place instanceof SharedArrayBuffer ? place : place.used;
  return (entry.used = new Uint32Array(memory, 0, 1));
}
