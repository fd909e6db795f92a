import { randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { placeFile } from '../lib/place-file.ts';
import { hasDatabaseRemains } from '../stores/sqlite/database-file.ts';

/** What the data directory holds besides the store. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly adminKey: {
    readonly key: string;
    /** Whether it was made just now, and should be shown once. */
    readonly fresh: boolean;
  };
  /** 32 bytes, for secrets at rest. */
  readonly encryptionKey: Buffer;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const ADMIN_KEY_FILE = 'admin.key';
const ENCRYPTION_KEY_FILE = 'encryption.key';
const INSTANCE_FILE = 'data-plane.id';
const KEY_BYTES = 32;

/**
 * Opens the data directory, and makes it and its keys where they are missing.
 *
 * Keys in SLUICE_ADMIN_KEY (the key itself) and SLUICE_ENCRYPTION_KEY (32 bytes as hex or base64)
 * win over the files, which are then neither read nor made; an empty variable counts as unset.
 *
 * @throws Error that says what to do: a file or directory that others can get at, a key that is none,
 * an encryption key that is lost
 */
export async function openDataDirectory(
  directory: string,
  environment: Environment = process.env,
): Promise<DataDirectory> {
  const folder = path.resolve(directory);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  refuseWritableByAll(folder);
  return {
    path: folder,
    adminKey: adminKey(folder, environment.SLUICE_ADMIN_KEY),
    encryptionKey: encryptionKey(folder, environment.SLUICE_ENCRYPTION_KEY),
  };
}

/** The 32 bytes with which a process seals what it keeps in a folder; made there when they are missing. @throws as openDataDirectory */
export function openEncryptionKey(directory: string, environment: Environment = process.env): Buffer {
  const folder = path.resolve(directory);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  refuseWritableByAll(folder);
  return encryptionKey(folder, environment.SLUICE_ENCRYPTION_KEY);
}

/** A random name for a process, which it keeps in a folder; made when it is missing. */
export function openInstanceName(directory: string): string {
  const file = path.join(path.resolve(directory), INSTANCE_FILE);
  makeFile(file, randomUUID());
  return readFileSync(file, 'utf8').trim();
}

/**
 * The keys for a store that several processes share, from the environment or from the files of a
 * data directory. None is made: each process would make its own.
 *
 * @throws Error that says what to do
 */
export function givenKeys(
  directory: string,
  environment: Environment = process.env,
): Pick<DataDirectory, 'adminKey' | 'encryptionKey'> {
  const folder = path.resolve(directory);
  const refuseMissing = (variable: string, name: string): void => {
    const file = path.join(folder, name);
    if ((environment[variable] ?? '') !== '' || exists(file)) return;
    throw new Error(
      `the processes that share a store need the same keys: set ${variable}, or put the key into ${file} (openssl rand -hex ${KEY_BYTES} makes one; chmod 600)`,
    );
  };
  refuseMissing('SLUICE_ENCRYPTION_KEY', ENCRYPTION_KEY_FILE);
  refuseMissing('SLUICE_ADMIN_KEY', ADMIN_KEY_FILE);
  return {
    adminKey: adminKey(folder, environment.SLUICE_ADMIN_KEY),
    encryptionKey: encryptionKey(folder, environment.SLUICE_ENCRYPTION_KEY),
  };
}

function adminKey(folder: string, fromEnvironment = ''): DataDirectory['adminKey'] {
  if (fromEnvironment !== '') return { key: headerSafe(fromEnvironment, 'SLUICE_ADMIN_KEY'), fresh: false };
  const file = path.join(folder, ADMIN_KEY_FILE);
  const made = makeKey(file);
  return { key: headerSafe(readKey(file), file), fresh: made };
}

function encryptionKey(folder: string, fromEnvironment = ''): Buffer {
  if (fromEnvironment !== '') return decode(fromEnvironment, 'SLUICE_ENCRYPTION_KEY');
  const file = path.join(folder, ENCRYPTION_KEY_FILE);
  if (!exists(file) && hasDatabaseRemains(folder)) {
    // A new one could read nothing that the old one wrote, and would only be noticed much later.
    throw new Error(
      `${file} is missing, but secrets in the database beside it are encrypted with it; restore the file or set SLUICE_ENCRYPTION_KEY`,
    );
  }
  makeKey(file);
  return decode(readKey(file), file);
}

/** Makes a key file, as a line of hex, unless it is there. Tells whether it did. */
function makeKey(file: string): boolean {
  return makeFile(file, randomBytes(KEY_BYTES).toString('hex'));
}

/** Makes a file of one line unless it is there; it appears whole or not at all. Tells whether it did. */
function makeFile(file: string, line: string): boolean {
  if (exists(file)) return false;
  const temporary = `${file}.${process.pid}.new`;
  rmSync(temporary, { force: true });
  try {
    const descriptor = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(descriptor, `${line}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return placeFile(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The content of a key file without its line end. */
function readKey(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    if (hasModes() && (fstatSync(descriptor).mode & 0o077) !== 0) {
      throw new Error(`${file} can be read by other users; make it private with: chmod 600 ${file}`);
    }
    return readFileSync(descriptor, 'utf8').trim();
  } finally {
    closeSync(descriptor);
  }
}

function headerSafe(key: string, source: string): string {
  if (/^[!-~]+$/.test(key)) return key;
  throw new Error(
    `${source} holds no usable key: it must be one or more visible ASCII characters without spaces`,
  );
}

/** Hex is tried first: 64 hex digits would be 48 bytes of base64. */
function decode(text: string, source: string): Buffer {
  const key =
    /^[0-9a-f]+$/i.test(text) && text.length === KEY_BYTES * 2
      ? Buffer.from(text, 'hex')
      : decodeBase64(text);
  if (key?.length === KEY_BYTES) return key;
  throw new Error(
    `${source} holds no encryption key: it must be ${KEY_BYTES} bytes, as ${KEY_BYTES * 2} hex digits or in base64 (openssl rand -hex ${KEY_BYTES} makes one)`,
  );
}

/** Buffer.from takes anything and skips what it doesn't know; a key with a typing error must not pass. */
function decodeBase64(text: string): Buffer | undefined {
  return /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}

function refuseWritableByAll(folder: string): void {
  const { mode } = statSync(folder);
  // Whoever may write here may replace the keys, unless the sticky bit keeps each to their own.
  if (!hasModes() || (mode & 0o002) === 0 || (mode & 0o1000) !== 0) return;
  throw new Error(
    `the data directory ${folder} can be written by all users; make it private with: chmod 700 ${folder}`,
  );
}

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** Windows has access lists in their place. */
function hasModes(): boolean {
  return process.platform !== 'win32';
}
