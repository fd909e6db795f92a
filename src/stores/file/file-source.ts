import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deepEqual } from '../../lib/json.ts';
import { loadConfigModule, type ModuleContent } from './config-module.ts';
import type { Environment } from './environment.ts';
import { type ConfigFile, parseText, parseValue, refusedFile } from './parse.ts';
import type { TextError } from './source-text.ts';

export interface FileSourceOptions {
  /** Where `${{NAME}}` is looked up; the process's environment by default. */
  readonly environment?: Environment;
  /** Milliseconds between looks at the file where the system doesn't tell of changes. */
  readonly pollInterval?: number;
}

const MODULE = /\.[cm]?[jt]s$/i;
const POLL_INTERVAL = 2000;
/** Milliseconds for which a file must stay the same before it is read: it may be half written. */
const SETTLE = 20;
/** Milliseconds until a file that is wrong is read once more, for the same reason. */
const SECOND_LOOK = 50;

/** What was read, and of which files. */
interface Reading {
  readonly content: ConfigFile;
  /** Of the texts that were read; empty when that is not known. */
  readonly hash: string;
  /** Absolute paths. */
  readonly files: readonly string[];
}

/**
 * The declarative file and its changes: YAML, JSON, or a TypeScript or JavaScript module.
 *
 * Lifecycle: 1. `load`; 2. `watch` once, if wanted; 3. `reload` any number of times; 4. `close`.
 */
export class FileSource {
  readonly #file: string;
  readonly #named: string;
  readonly #options: FileSourceOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #content: ConfigFile;
  #files: readonly string[];
  /** Of the files as they were last read. */
  #hash = '';
  #signature = '';
  /** Of the files as they were last looked at. */
  #seen = '';
  #listener: ((content: ConfigFile) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(file: string, options: FileSourceOptions) {
    this.#named = file;
    this.#file = path.resolve(file);
    this.#files = [this.#file];
    this.#options = options;
    this.#content = refusedFile(file, []);
  }

  /** Reads and parses the file. Never rejects: what is wrong, also an absent file, is in `content.errors`. */
  static async load(file: string, options: FileSourceOptions = {}): Promise<FileSource> {
    const source = new FileSource(file, options);
    await source.#read();
    return source;
  }

  /** The file as last read. */
  get content(): ConfigFile {
    return this.#content;
  }

  /**
   * Calls `onChange` whenever the file, or a local file that it imports, says something else than
   * before; also when it is wrong then. Doesn't keep the process alive.
   */
  watch(onChange: (content: ConfigFile) => void): void {
    this.#listener = onChange;
    this.#poll ??= setInterval(() => this.#lookSoon(), this.#options.pollInterval ?? POLL_INTERVAL).unref();
    this.#enqueue(() => this.#watchFolders());
    // Something may have happened since it was loaded.
    this.#lookSoon();
  }

  /** Reads the file anew and tells the listener in any case. */
  reload(): Promise<ConfigFile> {
    return this.#enqueue(async () => {
      await this.#readTwice();
      if (!this.#closed) this.#listener?.(this.#content);
      return this.#content;
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#poll);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #lookSoon(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#enqueue(() => this.#look());
    }, SETTLE);
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const signature = await signatureOf(this.#files);
    if (signature === this.#signature) return;
    if (signature !== this.#seen) {
      this.#seen = signature;
      this.#lookSoon();
      return;
    }
    if ((await hashOf(this.#files)) === this.#hash) {
      this.#signature = signature;
      // The same text may have come by another way: a symbolic link that was changed.
      await this.#watchFolders();
      return;
    }
    const before = this.#content;
    await this.#readTwice();
    await this.#watchFolders();
    if (!this.#closed && !isSame(before, this.#content)) this.#listener?.(this.#content);
  }

  async #readTwice(): Promise<void> {
    await this.#read();
    if (this.#content.errors.length === 0) return;
    await delay(SECOND_LOOK);
    if (!this.#closed) await this.#read();
  }

  async #read(): Promise<void> {
    // Taken before, so that a change while reading is found afterwards.
    const signature = await signatureOf(this.#files);
    const reading = MODULE.test(this.#file) ? await this.#readModule() : await this.#readText();
    if (this.#closed) return;
    const sameFiles = deepEqual(this.#files, reading.files);
    this.#content = reading.content;
    this.#files = reading.files;
    this.#hash = reading.hash;
    this.#signature = sameFiles ? signature : await signatureOf(reading.files);
    this.#seen = this.#signature;
  }

  async #readText(): Promise<Reading> {
    const files = [this.#file];
    try {
      const bytes = await readFile(this.#file);
      const content = parseText(this.#named, bytes.toString('utf8'), this.#options);
      return { files, content, hash: digestOf([bytes]) };
    } catch (error) {
      const message = `the file can't be read: ${error instanceof Error ? error.message : String(error)}`;
      return { files, content: this.#refused({ path: [], message }), hash: '' };
    }
  }

  async #readModule(): Promise<Reading> {
    const before = await hashOf(this.#files);
    const { files, content } = await loadConfigModule(this.#file);
    const hash = await hashOf(files);
    // Where a file changed meanwhile, nobody knows which text of it was imported: look once more.
    const known = deepEqual(files, this.#files) && before !== hash ? '' : hash;
    return { files, content: this.#contentOf(content), hash: known };
  }

  #contentOf(content: ModuleContent): ConfigFile {
    switch (content.type) {
      case 'value':
        return parseValue(this.#named, content.value, this.#options);
      case 'findings':
        return this.#refused(...content.findings);
      case 'thrown': {
        const { message, line, column = 1 } = content;
        const position = line === undefined ? undefined : { line, column };
        return this.#refused({ path: [], message: `the module can't be loaded: ${message}`, position });
      }
    }
  }

  #refused(...errors: readonly Omit<TextError, 'position'>[] | readonly TextError[]): ConfigFile {
    return refusedFile(
      this.#named,
      errors.map((error) => ({ position: undefined, ...error })),
    );
  }

  /** Watches folders, not files: editors and ConfigMaps put another file, or link, in the old one's place. */
  async #watchFolders(): Promise<void> {
    const folders = new Set<string>();
    for (const file of this.#files) {
      folders.add(path.dirname(file));
      try {
        folders.add(path.dirname(await realpath(file)));
      } catch {
        // It is absent now; the folder where it may come back is watched.
      }
    }
    if (this.#closed) return;
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    const forget = () => {
      this.#watchers.get(folder)?.close();
      this.#watchers.delete(folder);
    };
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#lookSoon());
      watcher.on('error', forget);
      this.#watchers.set(folder, watcher);
    } catch {
      // Too many watches, or a file system without them: the look every few seconds remains.
    }
  }

  /** One at a time: a look must not see a half-done reload. */
  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(task);
    this.#queue = result.catch(() => {});
    return result;
  }
}

function isSame(left: ConfigFile, right: ConfigFile): boolean {
  return (
    deepEqual(left.errors, right.errors) &&
    deepEqual(left.settings, right.settings) &&
    deepEqual(left.resources, right.resources)
  );
}

/** What the system says of files: differs when one was written, replaced or is reached by another link. */
async function signatureOf(files: readonly string[]): Promise<string> {
  const parts = files.map(async (file) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    } catch {
      return 'absent';
    }
  });
  return (await Promise.all(parts)).join('\n');
}

async function hashOf(files: readonly string[]): Promise<string> {
  const texts = files.map((file) => readFile(file).catch(() => Buffer.from('absent')));
  return digestOf(await Promise.all(texts));
}

function digestOf(texts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}:`).update(text);
  return hash.digest('base64');
}
