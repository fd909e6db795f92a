// What must outlive the process: the account's key and the certificates, with their keys. In files
// that only their owner can read, each written whole or not at all.

import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { checkCertificate } from '../model/certificate.ts';
import { type IssuedCertificate, newKey } from './acme-client.ts';

/** A key and its certificate are one file: after a crash between two of them they would not fit. */
const SEPARATOR = /(?=-----BEGIN CERTIFICATE-----)/;

export class CertificateFolder {
  readonly #folder: string;

  /** Each authority has a folder of its own: what a test authority issued is nothing to the true one. */
  constructor(dataDirectory: string, directoryUrl: string) {
    const digest = createHash('sha256').update(directoryUrl).digest('hex').slice(0, 8);
    this.#folder = path.join(dataDirectory, 'acme', `${new URL(directoryUrl).hostname}-${digest}`);
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    chmodSync(this.#folder, 0o700);
  }

  /** The account's key, PEM; made when there is none. */
  accountKey(): string {
    const known = this.#read('account.pem');
    if (known !== undefined) return known;
    const made = newKey();
    this.#write('account.pem', made);
    return made;
  }

  /** The certificate kept for a name, if there is one that can be used. */
  load(name: string): IssuedCertificate | undefined {
    const text = this.#read(`${name}.pem`);
    if (text === undefined) return undefined;
    const [key, ...certificates] = text.split(SEPARATOR);
    const cert = certificates.join('');
    return checkCertificate(cert, key) === undefined ? { cert, key } : undefined;
  }

  save(name: string, { cert, key }: IssuedCertificate): void {
    this.#write(`${name}.pem`, `${key.trimEnd()}\n${cert.trimEnd()}\n`);
  }

  #read(file: string): string | undefined {
    try {
      return readFileSync(path.join(this.#folder, file), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #write(file: string, text: string): void {
    const target = path.join(this.#folder, file);
    const temporary = `${target}.${randomBytes(4).toString('hex')}.new`;
    try {
      const descriptor = openSync(temporary, 'wx', 0o600);
      try {
        writeSync(descriptor, text);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      renameSync(temporary, target);
    } finally {
      rmSync(temporary, { force: true });
    }
  }
}
