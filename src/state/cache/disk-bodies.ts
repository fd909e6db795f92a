// Bodies in files of a folder, one each, with what is needed to take them in again after a start.

import { mkdirSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isObject } from '../../lib/json.ts';
import type { Logger } from '../../plugin/kit.ts';
import { type CacheBodies, type HeldEntry, usedOf } from './cache-bodies.ts';
import type { BodyPlace, SharedEntry } from './cache-message.ts';

const MAGIC = 'SLC1';
/** The magic word and the length of the JSON that follows. */
const HEAD = 8;
const NEW = '.new';
const COMPLAIN_EVERY_MS = 60_000;
/** Writes that may be under way; while the disk is slower than that, nothing is kept. */
const MOST_WRITES = 256;

export interface DiskOptions {
  readonly folder: string;
  /** Bytes that the bodies of one worker may take. */
  readonly limit: number;
  readonly log: Logger;
}

type FileEntry = Omit<SharedEntry, 'place'>;

export class DiskBodies implements CacheBodies {
  readonly limit: number;
  readonly #folder: string;
  readonly #log: Logger;
  #complained = Number.NEGATIVE_INFINITY;
  #writes = 0;

  constructor({ folder, limit, log }: DiskOptions) {
    this.#folder = folder;
    this.limit = limit;
    this.#log = log;
    try {
      // Nobody else on the machine may read what was meant for clients.
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      this.#complain('make its folder', error);
    }
  }

  async keep(entry: FileEntry, pieces: readonly Uint8Array[]): Promise<BodyPlace | undefined> {
    if (this.#writes >= MOST_WRITES) return undefined;
    const file = path.join(this.#folder, entry.id);
    const meta = Buffer.from(JSON.stringify(entry));
    const head = Buffer.alloc(HEAD);
    head.write(MAGIC, 'latin1');
    head.writeUInt32LE(meta.length, 4);
    const bytes = Buffer.concat([head, meta, ...pieces]);
    this.#writes++;
    try {
      await writeFile(`${file}${NEW}`, bytes, { mode: 0o600 });
      await rename(`${file}${NEW}`, file);
      return placeOf(file);
    } catch (error) {
      this.#complain('write', error);
      void rm(`${file}${NEW}`, { force: true }).catch(() => {});
      return undefined;
    } finally {
      this.#writes--;
    }
  }

  async read({ place, size }: SharedEntry): Promise<Uint8Array | undefined> {
    try {
      const bytes = await readFile(fileOf(place));
      return bytes.length < size ? undefined : bytes.subarray(bytes.length - size);
    } catch {
      return undefined; // It was dropped meanwhile.
    }
  }

  drop({ place }: SharedEntry): void {
    void rm(fileOf(place), { force: true }).catch((error) => this.#complain('remove a file', error));
  }

  touch(entry: HeldEntry, second: number): void {
    usedOf(entry)[0] = second;
  }

  touched(entry: HeldEntry): number {
    return usedOf(entry)[0];
  }

  /** The entries of earlier runs that `mine` says yes to, by the number of the worker that made them. */
  async *load(mine: (owner: number) => boolean): AsyncIterable<SharedEntry> {
    let names: string[];
    try {
      names = await readdir(this.#folder);
    } catch {
      return;
    }
    for (const name of names) {
      const owner = /^(\d+)-[0-9a-z]+-[0-9a-z]+(?:\.new)?$/.exec(name)?.[1];
      if (owner === undefined || !mine(Number(owner))) continue;
      const file = path.join(this.#folder, name);
      const entry = name.endsWith(NEW) ? undefined : await readEntry(file).catch(() => undefined);
      if (entry?.id === name) yield { ...entry, place: placeOf(file) };
      else await rm(file, { force: true }).catch(() => {});
    }
  }

  #complain(what: string, error: unknown): void {
    const now = performance.now();
    if (now - this.#complained < COMPLAIN_EVERY_MS) return;
    this.#complained = now;
    this.#log.warn(`the cache can't ${what}; responses are not kept there`, {
      folder: this.#folder,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

function placeOf(file: string): BodyPlace {
  return { file, used: new SharedArrayBuffer(4) };
}

function fileOf(place: BodyPlace): string {
  return place instanceof SharedArrayBuffer ? '' : place.file;
}

/** What a file says of itself, or undefined when it is not whole. */
async function readEntry(file: string): Promise<FileEntry | undefined> {
  await using handle = await open(file, 'r');
  const head = Buffer.alloc(HEAD);
  await handle.read(head, 0, HEAD, 0);
  if (head.latin1Slice(0, 4) !== MAGIC) return undefined;
  const meta = Buffer.alloc(head.readUInt32LE(4));
  await handle.read(meta, 0, meta.length, HEAD);
  const entry: unknown = JSON.parse(meta.toString());
  const { size } = await handle.stat();
  if (!isObject(entry) || size !== HEAD + meta.length + Number(entry.size)) return undefined;
  return entry as unknown as FileEntry;
}
