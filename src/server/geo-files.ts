// The databases that know where addresses are. Read here, once, into memory that all workers share.

import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { GeoSource } from '../model/geo-place.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';

/** Milliseconds between looks at the files. */
const INTERVAL = 1000;

/** The bytes of the databases, in the order of the setting. */
export type GeoBytes = readonly SharedArrayBuffer[];

/** Settings whose databases are named from a folder on. */
export function withGeoFolder(settings: Settings, folder: string): Settings {
  const databases = settings.geo.databases.map((file) => path.resolve(folder, file));
  return { ...settings, geo: { ...settings.geo, databases } };
}

/** Reads and checks the files. Throws an Error that names the file and what is wrong with it. */
export async function readGeoFiles(files: readonly string[]): Promise<GeoBytes> {
  return Promise.all(files.map((file) => readGeoFile(file)));
}

/** Reads and checks one file. */
export async function readGeoFile(file: string): Promise<SharedArrayBuffer> {
  try {
    const bytes = await readFile(file);
    const shared = new SharedArrayBuffer(bytes.length);
    Buffer.from(shared).set(bytes);
    await openGeoFiles([shared]);
    return shared;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file' : message;
    throw new Error(`geo database ${file} can't be used: ${reason}`, { cause: error });
  }
}

/** What looks addresses up; the reader of the format is loaded where there are files. */
export async function openGeoFiles(bytes: GeoBytes): Promise<GeoSource | undefined> {
  if (bytes.length === 0) return undefined;
  const { GeoLookup } = await import('../geo/geo-lookup.ts');
  return new GeoLookup(bytes.map((one) => Buffer.from(one)));
}

/** Follows changes of the files; one that can't be used leaves the old one in its place. Returns how to stop. */
export function watchGeoFiles(
  files: readonly string[],
  bytes: GeoBytes,
  log: Logger,
  apply: (bytes: GeoBytes) => void,
): () => void {
  const current = [...bytes];
  const onChange = async (index: number): Promise<void> => {
    try {
      current[index] = await readGeoFile(files[index]);
      apply([...current]);
      log.info('geo database reloaded', { file: files[index] });
    } catch (error) {
      log.error(`${(error as Error).message}; the old one stays`);
    }
  };
  files.forEach((file, index) => {
    watchFile(file, { interval: INTERVAL, persistent: false }, (now, before) => {
      if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) void onChange(index);
    });
  });
  return () => {
    for (const file of files) unwatchFile(file);
  };
}
