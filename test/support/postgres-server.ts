// A real PostgreSQL for a test: a cluster of its own in a temporary folder, on a port of its own.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { ensureCommand, findCommand, type NeededCommand } from '../../tools/ensure-command.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';

/**
 * tools/test.ts installs it beforehand; a test file that is run alone does it here. The command is
 * one of the package's that is on the PATH.
 */
export const POSTGRES_SERVER: NeededCommand = {
  command: 'pg_ctlcluster',
  debianPackage: 'postgresql',
  purpose: 'test the store that several processes share',
};

/** Of the superuser `sluice`; nothing but the address may show it. */
export const DATABASE_PASSWORD = 'p@ss/word-of-the-database';

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  // SIGQUIT ends it at once, with all of its processes.
  for (const child of alive) child.kill('SIGQUIT');
});

export class PostgresServer {
  readonly #folder: string;
  readonly port: number;
  readonly #databases = { count: 0 };
  #child: ChildProcess | undefined;

  /** Makes a cluster and starts it. It ends with the test. */
  static async start(scope: { after(callback: () => Promise<void>): void }): Promise<PostgresServer> {
    const server = new PostgresServer(mkdtempSync(path.join(tmpdir(), 'sluice-postgres-')), await freePort());
    scope.after(async () => {
      await server.stop('SIGQUIT');
      rmSync(server.#folder, { recursive: true, force: true });
    });
    server.#initialise();
    await server.start();
    return server;
  }

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  /** Starts the cluster again after `stop`; resolves when it answers. */
  async start(): Promise<void> {
    const data = path.join(this.#folder, 'data');
    const args = [
      '-D',
      data,
      '-p',
      String(this.port),
      '-h',
      '127.0.0.1',
      '-k',
      '',
      '-c',
      'max_connections=40',
    ];
    const child = spawn(program('postgres'), args, { ...account(), stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    alive.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.once('close', () => alive.delete(child));
    await eventually('PostgreSQL answers', async () => {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended: ${output}`);
      const client = new pg.Client({ connectionString: this.#address('postgres') });
      client.on('error', () => {});
      try {
        await client.connect();
        return true;
      } finally {
        await client.end().catch(() => {});
      }
    }).catch((error) => {
      throw new Error(`PostgreSQL does not start: ${output}`, { cause: error });
    });
  }

  /** Ends it: SIGINT closes connections, SIGQUIT leaves everything as a crash does. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' = 'SIGINT'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, 'close');
    child.kill(signal);
    await end;
  }

  /** Stops it where it stands: it keeps its connections, the system accepts further ones, nobody answers. */
  freeze(): void {
    this.#signalAll('SIGSTOP');
  }

  thaw(): void {
    this.#signalAll('SIGCONT');
  }

  /** PostgreSQL is a process for each connection, and some more. */
  #signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('PostgreSQL does not run');
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    for (const one of [pid, ...children.map(Number)]) process.kill(one, signal);
  }

  /** Makes an empty database, and tells its address with user and password. */
  async database(): Promise<string> {
    const name = `test_${++this.#databases.count}`;
    await this.query('postgres', `CREATE DATABASE ${name}`);
    return this.#address(name);
  }

  /** Runs a statement in a database, named or by address; its rows. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into rows of any shape
  async query(database: string, text: string): Promise<any[]> {
    const connectionString = database.includes('://') ? database : this.#address(database);
    const client = new pg.Client({ connectionString });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  #address(database: string): string {
    return `postgres://sluice:${encodeURIComponent(DATABASE_PASSWORD)}@127.0.0.1:${this.port}/${database}`;
  }

  #initialise(): void {
    const passwordFile = path.join(this.#folder, 'password');
    const data = path.join(this.#folder, 'data');
    writeFileSync(passwordFile, DATABASE_PASSWORD);
    mkdirSync(data, { mode: 0o700 });
    const { uid, gid } = account();
    if (uid !== undefined && gid !== undefined) {
      for (const place of [this.#folder, passwordFile, data]) chownSync(place, uid, gid);
    }
    const { status, stderr } = spawnSync(
      program('initdb'),
      [
        '-D',
        data,
        '-U',
        'sluice',
        '-A',
        'scram-sha-256',
        '--pwfile',
        passwordFile,
        '-E',
        'UTF8',
        '--no-locale',
        '--no-sync',
      ],
      { ...account(), encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] },
    );
    if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
  }
}

/** The programs of the newest version that is there; installed first where there is none. */
function program(name: string): string {
  if (findProgram(name) === undefined) ensureCommand(POSTGRES_SERVER);
  const file = findProgram(name);
  if (file === undefined) throw new Error(`${name} is not where Debian's postgresql has it`);
  return file;
}

/** Debian keeps them by version, and none of them on the PATH. */
function findProgram(name: string): string | undefined {
  const version = (file: string) => Number(file.split('/')[4]);
  return (
    globSync(`/usr/lib/postgresql/*/bin/${name}`).toSorted((a, b) => version(b) - version(a))[0] ??
    findCommand(name)
  );
}

/** PostgreSQL refuses to run as root; it needs an account that /etc/passwd knows. */
function account(): { uid?: number; gid?: number; cwd: string } {
  if (process.getuid?.() !== 0) return { cwd: tmpdir() };
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const one = accounts.find(([name]) => name === 'postgres') ?? accounts.find(([name]) => name === 'nobody');
  if (one === undefined)
    throw new Error('PostgreSQL does not run as root, and there is no account postgres or nobody');
  return { uid: Number(one[2]), gid: Number(one[3]), cwd: tmpdir() };
}
