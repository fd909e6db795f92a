// Where the examples of a page run: a folder, an echo for each upstream that pages speak of, and a
// Sluice, all on ports of their own in place of those that stand in the page.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createEcho } from '../../examples/echo/echo.ts';
import { writeMmdb } from '../../src/geo/mmdb-writer.fixture.ts';
import { freePort } from '../support/free-port.ts';
import { startNameServer } from '../support/name-server.ts';
import { RedisServer } from '../support/redis-server.ts';

const root = path.join(import.meta.dirname, '../..');
const ECHOES = [8080, 8081, 8082];
/** Where Sluice itself listens, also a second one beside it; 8089, where nobody does. */
const FREE = [9080, 9081, 9082, 9443, 9100, 9101, 9102, 9180, 9181, 9190, 9091, 9092, 8089];
const REDIS = 6379;
/** A name server that knows `orders.service.test`. */
const NAMES = 8600;
const PATIENCE_MS = 30_000;
/** What the database of places in the folder knows. */
const PLACES = {
  '192.0.2.0/24': { country: { iso_code: 'DE' }, city: { names: { en: 'Berlin' } } },
  '198.51.100.0/24': { country: { iso_code: 'JP' }, city: { names: { en: 'Tokyo' } } },
};

export interface Finished {
  readonly status: number | null;
  /** With the page's ports. */
  readonly output: string;
}

export class Playground {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'sluice-docs-'));
  readonly #ports = new Map<number, number>();
  readonly #echoes: Server[] = [];
  readonly #after: (() => Promise<void> | void)[] = [];
  readonly #endings: (() => unknown)[] = [];
  #gateway: ChildProcess | undefined;
  /** Those that were launched, by the first word of their name. */
  readonly #launched = new Map<string, ChildProcess>();
  #log = '';
  /** The configuration says itself where to listen. */

  static async open(): Promise<Playground> {
    const playground = new Playground();
    writeFileSync(path.join(playground.folder, 'GeoLite2-City.mmdb'), writeMmdb(PLACES));
    for (const port of ECHOES) {
      const echo = createEcho(String(port));
      playground.#echoes.push(echo);
      playground.#ports.set(port, await listening(echo));
    }
    const names = await startNameServer({ after: (end) => playground.#after.push(end as () => void) }, 1);
    names.names.set('a.service.test', ['127.0.0.1']);
    names.services.set(
      'orders.service.test',
      [8080, 8081].map((port, index) => ({
        priority: 0,
        weight: 3 - 2 * index,
        port: playground.#ports.get(port) ?? 0,
        target: 'a.service.test',
      })),
    );
    playground.#ports.set(NAMES, Number(names.address.split(':')[1]));
    for (const port of FREE) playground.#ports.set(port, await freePort());
    // `sluice` in a page is this checkout's.
    const program = [process.execPath, path.join(root, 'src/main.ts')].map((word) => `'${word}'`).join(' ');
    const bin = path.join(playground.folder, '.bin');
    mkdirSync(bin);
    writeFileSync(path.join(bin, 'sluice'), `#!/bin/sh\nexec ${program} "$@"\n`, { mode: 0o755 });
    // curl would draw its progress between the lines.
    writeFileSync(path.join(bin, '.curlrc'), 'silent\nshow-error\n');
    return playground;
  }

  /** Starts a Redis in place of the page's. */
  async startRedis(): Promise<void> {
    const scope = { after: (ending: () => unknown) => void this.#endings.push(ending) };
    const { port } = await RedisServer.start(scope as never);
    this.#ports.set(REDIS, port);
  }

  /** Puts this text's ports in place of the page's. */
  localize(text: string): string {
    return text.replaceAll(/\b\d{4}\b/g, (port) => String(this.#ports.get(Number(port)) ?? port));
  }

  write(file: string, text: string): void {
    writeFileSync(path.join(this.folder, file), this.localize(text));
  }

  /** Starts Sluice with these arguments after `sluice start`; resolves when it says that it runs. */
  async start(args: readonly string[]): Promise<void> {
    await this.stop();
    const at = (port: number) => `127.0.0.1:${this.#ports.get(port)}`;
    const given = args.map((word) => this.localize(word));
    const own = [
      ...(this.#namesListeners(given) ? [] : ['--listen', at(9080)]),
      ...['--admin-listen', at(9180), '--metrics-listen', at(9091), '--workers', '2'],
      ...(args.includes('--config') ? [] : ['--access-log', 'off']),
    ];
    const gateway = spawn(path.join(this.folder, '.bin/sluice'), ['start', ...given, ...own], {
      cwd: this.folder,
      env: this.#environment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#gateway = gateway;
    this.#log = '';
    await this.#running(gateway);
  }

  async #running(child: ChildProcess): Promise<void> {
    const deadline = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        this.#log += text;
        if (/^\s+(?:traffic|Admin API)\s/m.test(said)) resolve();
      });
      child.once('close', () => reject(new Error(`sluice ended:\n${this.#log}`)));
    });
    clearTimeout(deadline);
  }

  /** Lets a page speak of a port of something that the test has started. */
  place(port: number, own: number): void {
    this.#ports.set(port, own);
  }

  /**
   * Starts a page's own `sluice start`, as it stands there, beside those before it; resolves when it
   * says that it runs. The same command again takes the place of the one before.
   */
  async launch(command: string): Promise<void> {
    const line = this.localize(command.replaceAll(/\\\n\s*/g, ' ').trim());
    await this.kill(command);
    const more = [' --workers 1 --access-log off'];
    for (const [option, port] of [
      ['--listen', 9080],
      ['--admin-listen', 9180],
      ['--metrics-listen', 9091],
    ] as const) {
      if (!line.includes(` ${option} `)) more.push(`${option} 127.0.0.1:${this.#ports.get(port)}`);
    }
    const child = spawn('sh', ['-c', `exec env ${line}${more.join(' ')}`], {
      cwd: this.folder,
      env: this.#environment(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#launched.set(command, child);
    await this.#running(child);
  }

  /** Ends what a command has launched, at once. */
  async kill(command: string): Promise<void> {
    const child = this.#launched.get(command);
    this.#launched.delete(command);
    if (child !== undefined) await killed(child);
  }

  /** Whether a file that Sluice is started with says itself where to listen. */
  #namesListeners(args: readonly string[]): boolean {
    return args.some((word, index) => {
      if (args[index - 1] !== '--config' && args[index - 1] !== '--settings') return false;
      return /^\s*listeners:/m.test(readFileSync(path.join(this.folder, word), 'utf8'));
    });
  }

  async stop(): Promise<void> {
    const gateway = this.#gateway;
    this.#gateway = undefined;
    if (gateway !== undefined) await killed(gateway);
  }

  /** What Sluice said on stderr. */
  get log(): string {
    return this.#log;
  }

  /** Runs a shell's commands in the folder. */
  async run(commands: string): Promise<Finished> {
    const shell = spawn('sh', ['-c', this.localize(commands)], {
      cwd: this.folder,
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE_MS,
    });
    let output = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    shell.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [status] = (await once(shell, 'close')) as [number | null];
    return { status, output: this.#pagePorts(output.replaceAll('\r', '')) };
  }

  async close(): Promise<void> {
    await this.stop();
    for (const child of this.#launched.values()) await killed(child);
    await Promise.all([...this.#echoes.map((echo) => closed(echo)), ...this.#after.map((end) => end())]);
    for (const ending of this.#endings.reverse()) await ending();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #pagePorts(text: string): string {
    const pages = new Map([...this.#ports].map(([page, own]) => [String(own), String(page)]));
    return text.replaceAll(/\b\d{4,5}\b/g, (port) => pages.get(port) ?? port);
  }

  #environment(): NodeJS.ProcessEnv {
    const { SLUICE_ADMIN_KEY: _, NODE_TEST_CONTEXT: __, ...environment } = process.env;
    const { PATH = '' } = environment;
    const bin = path.join(this.folder, '.bin');
    return { ...environment, CURL_HOME: bin, PATH: `${bin}${path.delimiter}${PATH}` };
  }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = once(child, 'close');
  child.kill('SIGKILL');
  await end;
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

async function closed(server: Server): Promise<void> {
  const end = once(server, 'close');
  server.close();
  if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function') {
    server.closeAllConnections();
  }
  await end;
}
