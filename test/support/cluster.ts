// A cluster for a test: certificates of an authority of its own, control planes and data planes.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureCommand, type NeededCommand } from '../../tools/ensure-command.ts';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { SluiceProcess, temporaryFolder } from './process.ts';

export const OPENSSL: NeededCommand = {
  command: 'openssl',
  debianPackage: 'openssl',
  purpose: 'make the certificates that a cluster is tested with',
};

/** What a certificate may be used for (RFC 5280, 4.2.1.12). */
type Usage = 'serverAuth' | 'clientAuth';

/** An authority and what it has signed, in a folder that ends with the test. */
export class Authority {
  readonly #folder: string;

  constructor(scope: Scope) {
    this.#folder = temporaryFolder(scope);
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey('ca'),
      '-days',
      '30',
      '-subj',
      '/CN=Test cluster',
      '-out',
      'ca.crt',
    );
  }

  get certificate(): string {
    return path.join(this.#folder, 'ca.crt');
  }

  /** Signs a certificate for 127.0.0.1; the options that name it, with this authority as `--cluster-ca`. */
  options(name: string, usage: Usage, ca = this.certificate): string[] {
    const extensions = `basicConstraints=critical,CA:FALSE\nextendedKeyUsage=${usage}\nsubjectAltName=IP:127.0.0.1\n`;
    writeFileSync(path.join(this.#folder, `${name}.ext`), extensions);
    this.#openssl('req', '-new', ...this.#newKey(name), '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    const signed = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...signed, '-days', '30', '-out', `${name}.crt`);
    const at = (end: string) => path.join(this.#folder, name + end);
    return ['--cluster-cert', at('.crt'), '--cluster-key', at('.key'), '--cluster-ca', ca];
  }

  #newKey(name: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  }

  #openssl(...args: string[]): void {
    const { status, stderr } = spawnSync(ensureCommand(OPENSSL), args, {
      cwd: this.#folder,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  }
}

export interface ControlPlaneOptions {
  readonly certificates: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly data?: string;
  /** Where data planes connect, to be there again after a restart. */
  readonly port?: number;
}

export function startControlPlane(scope: Scope, options: ControlPlaneOptions): Promise<SluiceProcess> {
  const { certificates, args = [], env = {}, data = temporaryFolder(scope), port = 0 } = options;
  const listen = ['--cluster-listen', `127.0.0.1:${port}`];
  return SluiceProcess.start(scope, {
    args: ['start', '--role', 'control-plane', '--data', data, ...listen, ...certificates, ...args],
    env,
    accessLog: 'off',
  });
}

export interface DataPlaneOptions {
  readonly controlPlanes: readonly string[];
  readonly certificates: readonly string[];
  readonly data: string;
  readonly args?: readonly string[];
  readonly workers?: number;
}

/** Starts a data plane; one that has nothing to serve yet is not waited for. */
export function launchDataPlane(scope: Scope, options: DataPlaneOptions): SluiceProcess {
  const { controlPlanes, certificates, data, args = [], workers = 2 } = options;
  const urls = controlPlanes.flatMap((url) => ['--control-plane', url]);
  return new SluiceProcess(scope, {
    args: ['start', '--role', 'data-plane', '--data', data, ...urls, ...certificates, ...args],
    env: { SLUICE_ADMIN_KEY: undefined },
    accessLog: 'off',
    workers,
  });
}

export async function startDataPlane(scope: Scope, options: DataPlaneOptions): Promise<SluiceProcess> {
  const dataPlane = launchDataPlane(scope, options);
  await dataPlane.ready();
  return dataPlane;
}

/** What a control plane says of its data planes. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
export async function dataPlanesOf(controlPlane: SluiceProcess): Promise<any[]> {
  return (await controlPlane.admin('GET', 'data_planes')).json().list;
}

/** Waits until the data plane that shows this certificate has the status. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
export function dataPlaneIs(controlPlane: SluiceProcess, certificate: string, status: string): Promise<any> {
  return eventually(`${certificate} is ${status}`, async () => {
    const list = await dataPlanesOf(controlPlane);
    const found = list.find((one) => one.certificate === certificate);
    if (found?.status !== status) throw new Error(JSON.stringify(list));
    return found;
  });
}
