import type { CertificateFiles } from '../cluster/certificate-files.ts';
import { parseAddress } from '../model/listen-address.ts';
import type { CommandOptions } from './command.ts';
import { UsageError } from './usage-error.ts';

/** What a process is in a cluster. */
export type Role =
  | {
      readonly name: 'control-plane';
      readonly listen: { readonly host: string; readonly port: number };
      readonly certificates: CertificateFiles;
    }
  | {
      readonly name: 'data-plane';
      readonly controlPlanes: readonly string[];
      readonly certificates: CertificateFiles;
    };

const CERTIFICATES = ['cluster-cert', 'cluster-key', 'cluster-ca'] as const;
const OWN_OPTIONS: Readonly<Record<Role['name'], readonly string[]>> = {
  'control-plane': ['cluster-listen', ...CERTIFICATES],
  'data-plane': ['control-plane', ...CERTIFICATES],
};

/**
 * What `--role` and the options that go with it say; undefined for a process on its own. `other` is
 * anything that says where else the configuration comes from.
 *
 * @throws UsageError for what doesn't go together
 */
export function roleOf(options: CommandOptions, other: unknown): Role | undefined {
  const name = options.role;
  if (name !== undefined && name !== 'control-plane' && name !== 'data-plane') {
    throw new UsageError(`--role must be control-plane or data-plane; got ${name}`);
  }
  const allowed = name === undefined ? [] : OWN_OPTIONS[name];
  for (const option of ['control-plane', 'cluster-listen', ...CERTIFICATES]) {
    if (options[option] === undefined || allowed.includes(option)) continue;
    const fitting = Object.entries(OWN_OPTIONS).find(([, own]) => own.includes(option))?.[0];
    throw new UsageError(`--${option} goes with --role ${fitting}`);
  }
  if (name === undefined) return undefined;
  if (other !== undefined) {
    throw new UsageError(`--role ${name} goes with neither UPSTREAM, --config nor --admin`);
  }
  const certificates = certificatesOf(options, name);
  if (name === 'control-plane') {
    return {
      name,
      listen: listenAddress(String(options['cluster-listen'] ?? '127.0.0.1:9190')),
      certificates,
    };
  }
  if (options.store !== undefined) {
    throw new UsageError('--role data-plane takes no --store; give that to the control plane');
  }
  const controlPlanes = options['control-plane'];
  if (!Array.isArray(controlPlanes)) {
    throw new UsageError('--role data-plane wants --control-plane https://host:9190');
  }
  return { name, controlPlanes, certificates };
}

function certificatesOf(options: CommandOptions, role: string): CertificateFiles {
  const missing = CERTIFICATES.filter((option) => options[option] === undefined);
  if (missing.length > 0) {
    const list = missing.map((option) => `--${option} FILE`).join(', ');
    throw new UsageError(
      `--role ${role} wants ${list}; docs/guides/control-plane-and-data-planes.md says how to make them`,
    );
  }
  const [cert, key, ca] = CERTIFICATES.map((option) => String(options[option]));
  return { cert, key, ca };
}

function listenAddress(text: string): { host: string; port: number } {
  try {
    return parseAddress(text);
  } catch (error) {
    throw new UsageError(`--cluster-listen: ${error instanceof Error ? error.message : error}`);
  }
}
