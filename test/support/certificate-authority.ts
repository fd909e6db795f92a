// Certificates made for one test by openssl: a CA of its own, and what it issues, revokes and lets expire.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureCommand } from '../../tools/ensure-command.ts';
import type { Scope } from './echo-upstream.ts';

export interface Issued {
  /** PEM: the certificate, and those of intermediate CAs. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface IssueOptions {
  /** The subject, `/CN=<name>` when absent. */
  readonly subject?: string;
  /** Alternative names, `DNS:<name>` when absent. */
  readonly names?: readonly string[];
  readonly kind?: 'ec' | 'rsa';
  /** Days from now at which it ends; negative for one that has expired. */
  readonly days?: number;
  /** May issue others. */
  readonly authority?: boolean;
}

const CONFIG = `[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
`;

export class CertificateAuthority {
  readonly #folder: string;
  readonly #chain: string;
  /** PEM of its own certificate. */
  readonly cert: string;
  #count = 0;

  /** A root; its folder ends with the test. */
  static create(scope: Scope, name = 'Root'): CertificateAuthority {
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ca-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    ensureCommand({ command: 'openssl', debianPackage: 'openssl', purpose: 'make certificates' });
    openssl(
      folder,
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout ca.key -out ca.crt -subj /CN=${name}`,
    );
    return new CertificateAuthority(folder, '');
  }

  private constructor(folder: string, chain: string) {
    this.#folder = folder;
    this.cert = readFileSync(path.join(folder, 'ca.crt'), 'utf8');
    this.#chain = chain;
    writeFileSync(path.join(folder, 'ca.cnf'), CONFIG);
    writeFileSync(path.join(folder, 'index.txt'), '');
    writeFileSync(path.join(folder, 'serial'), '1A2B\n');
  }

  issue(name: string, options: IssueOptions = {}): Issued {
    const {
      subject = `/CN=${name}`,
      names = [`DNS:${name}`],
      kind = 'ec',
      days = 30,
      authority = false,
    } = options;
    const folder = this.#folder;
    const file = `leaf${++this.#count}`;
    const algorithm = kind === 'ec' ? 'ec -pkeyopt ec_paramgen_curve:prime256v1' : 'rsa:2048';
    const extensions = authority
      ? ['-addext', 'basicConstraints=critical,CA:true']
      : ['-addext', `subjectAltName=${names.join(',')}`];
    openssl(
      folder,
      `req -utf8 -newkey ${algorithm} -nodes -keyout ${file}.key -out ${file}.csr`,
      '-subj',
      subject,
      ...extensions,
    );
    openssl(
      folder,
      `ca -batch -notext -config ca.cnf -cert ca.crt -keyfile ca.key -in ${file}.csr -out ${file}.crt -startdate ${date(days - 60)} -enddate ${date(days)}`,
    );
    const read = (extension: string) => readFileSync(path.join(folder, `${file}.${extension}`), 'utf8');
    return { cert: read('crt') + this.#chain, key: read('key') };
  }

  /** An intermediate CA; what it issues comes with its certificate. */
  intermediate(scope: Scope, name: string): CertificateAuthority {
    const { cert, key } = this.issue(name, { authority: true });
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ca-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(path.join(folder, 'ca.crt'), cert);
    writeFileSync(path.join(folder, 'ca.key'), key);
    return new CertificateAuthority(folder, cert);
  }

  /** Revokes what it has issued, and returns the list of all that it has revoked. */
  revoke(...issued: readonly Issued[]): string {
    for (const { cert } of issued) {
      writeFileSync(path.join(this.#folder, 'revoked.crt'), cert);
      openssl(this.#folder, 'ca -config ca.cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt');
    }
    openssl(this.#folder, 'ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl -out list.crl');
    return readFileSync(path.join(this.#folder, 'list.crl'), 'utf8');
  }
}

function date(daysFromNow: number): string {
  const at = new Date(Date.now() + daysFromNow * 86_400_000).toISOString();
  return `${at.replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}

function openssl(folder: string, command: string, ...more: readonly string[]): void {
  execFileSync('openssl', [...command.split(' '), ...more], { cwd: folder, stdio: 'pipe' });
}
