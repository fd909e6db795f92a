// Let's Encrypt's small certificate authority for tests, as Debian has it.

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { ensureCommand } from '../../tools/ensure-command.ts';
import { CertificateAuthority } from './certificate-authority.ts';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { startNameServer } from './name-server.ts';
import { temporaryFolder } from './process.ts';

export interface Pebble {
  /** The URL of its directory. */
  readonly directory: string;
  /** A file with the certificate of who vouches for its own. */
  readonly caFile: string;
  /** Where it looks for answers to http-01 and tls-alpn-01. */
  readonly httpPort: number;
  readonly tlsPort: number;
  /** PEM of the root of what it issues. */
  root(): Promise<string>;
  /** How many certificates it has issued, by its log. */
  readonly issued: number;
  readonly log: string;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** All names under `example` lead to this machine. */
export async function startPebble(
  scope: Scope,
  { names, validity = 90 * 86_400 }: { readonly names: readonly string[]; readonly validity?: number },
): Promise<Pebble> {
  const command = ensureCommand({
    command: 'pebble',
    debianPackage: 'pebble',
    purpose: 'issue certificates in tests',
  });
  const folder = temporaryFolder(scope);
  const dns = await startNameServer(scope, 60);
  for (const name of names) dns.names.set(name, ['127.0.0.1']);
  const ca = CertificateAuthority.create(scope);
  const own = ca.issue('pebble', { names: ['IP:127.0.0.1'] });
  const file = (name: string, text: string) => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const [port, management, httpPort, tlsPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: file('own.crt', own.cert),
      privateKey: file('own.key', own.key),
      httpPort,
      tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: false,
      certificateValidityPeriod: validity,
    },
  };
  const args = ['-config', file('config.json', JSON.stringify(config)), '-strict', '-dnsserver', dns.address];
  const child = spawn(command, args, {
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_AUTHZREUSE: '0' },
  });
  alive.add(child);
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => (log += text));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  scope.after(async () => {
    child.kill('SIGKILL');
    alive.delete(child);
    await ended;
  });
  const get = (url: string) =>
    new Promise<string>((resolve, reject) => {
      https
        .get(url, { ca: ca.cert, agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part) => (text += part));
          response.on('end', () => resolve(text));
        })
        .on('error', reject);
    });
  const directory = `https://127.0.0.1:${port}/dir`;
  await eventually('pebble listens', async () => (await get(directory)).includes('newOrder')).catch(
    (error) => {
      throw new Error(`pebble doesn't start: ${log}`, { cause: error });
    },
  );
  return {
    directory,
    caFile: file('ca.crt', ca.cert),
    httpPort,
    tlsPort,
    root: () => get(`https://127.0.0.1:${management}/roots/0`),
    get issued() {
      return log.match(/Issued certificate serial/g)?.length ?? 0;
    },
    get log() {
      return log;
    },
  };
}
