import { readFileSync, statSync } from 'node:fs';
import { ConfigError } from '../model/errors.ts';

/** Files in PEM: by what this process is known to its cluster, and who may vouch for the others. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Reads them anew, since certificates are replaced. @throws ConfigError naming the file */
export function readCertificates({ cert, key, ca }: CertificateFiles): {
  cert: Buffer;
  key: Buffer;
  ca: Buffer;
} {
  return { cert: readOne('--cluster-cert', cert), key: readKey(key), ca: readOne('--cluster-ca', ca) };
}

function readKey(file: string): Buffer {
  const content = readOne('--cluster-key', file);
  if (process.platform !== 'win32' && (statSync(file).mode & 0o007) !== 0) {
    throw new ConfigError(
      `--cluster-key: ${file} can be read by all users; make it private with: chmod 600 ${file}`,
    );
  }
  return content;
}

function readOne(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(`${option}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
