// Sluice as its users run it: a process of its own, on ports of its own, with files of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { type Answer, type CallOptions, call } from './http-call.ts';

export const root = path.join(import.meta.dirname, '../..');
export const ADMIN_KEY = 'e2e-admin-key';

export interface ProcessOptions {
  /** What follows `sluice`; free ports are added for listeners that are not named. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** 1 by default: what doesn't depend on their number starts faster so. */
  readonly workers?: number;
  readonly cwd?: string;
  /** A shell's commands before it starts, such as `ulimit -n 256`. */
  readonly prelude?: string;
  /** Has as many workers as the configuration says. */
  readonly keepWorkers?: boolean;
  /** Listens where the configuration says, and nowhere else. */
  readonly keepListeners?: boolean;
  /** What the access log goes to, where the test doesn't look at stdout. */
  readonly accessLog?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const alive = new Set<ChildProcess>();
// A test that fails, or a file that is ended, must leave nothing behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A folder that ends with the test. */
export function temporaryFolder(scope: Scope): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-e2e-'));
  scope.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

export class SluiceProcess {
  readonly child: ChildProcess;
  /** Settles when the process has ended and its output is complete. */
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';
  #ended = false;

  constructor(scope: Scope, options: ProcessOptions) {
    const { args = ['start'], env = {}, cwd } = options;
    const words = [process.execPath, path.join(root, 'src/main.ts'), ...complete(args, options)];
    const [command, ...rest] =
      options.prelude === undefined ? words : ['sh', '-c', `${options.prelude} && exec "$@"`, 'sh', ...words];
    this.child = spawn(command, rest, {
      cwd,
      env: { ...process.env, SLUICE_ADMIN_KEY: ADMIN_KEY, NODE_TEST_CONTEXT: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(this.child);
    this.child.stdout?.setEncoding('utf8').on('data', (part) => {
      this.stdout += part;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (part) => {
      this.stderr += part;
    });
    this.exited = new Promise((resolve) => {
      this.child.on('close', (code, signal) => {
        this.#ended = true;
        alive.delete(this.child);
        resolve({ code, signal });
      });
    });
    scope.after(() => this.kill());
  }

  /** Starts it and waits until it says where things are. */
  static async start(scope: Scope, options: ProcessOptions = {}): Promise<SluiceProcess> {
    const sluice = new SluiceProcess(scope, options);
    await sluice.ready();
    return sluice;
  }

  get ended(): boolean {
    return this.#ended;
  }

  async ready(): Promise<void> {
    await eventually('Sluice is ready', () => {
      if (this.#ended) throw new Error(`Sluice ended: ${this.stderr}`);
      // A control plane carries no traffic.
      const at = this.#announced('traffic') ?? this.#announced('Admin API');
      return at !== undefined && / {2}(try|metrics|grow|config) /.test(this.stderr);
    }).catch((error) => {
      throw new Error(`Sluice is not ready: ${this.stderr}`, { cause: error });
    });
  }

  /** `http://host:port` of the first listener. */
  get traffic(): string {
    return this.#announced('traffic') ?? '';
  }

  get port(): number {
    return Number(new URL(this.traffic).port);
  }

  /** The ports of all listeners, in their order. */
  get ports(): readonly number[] {
    const line = /^ {2}traffic +(.*)$/m.exec(this.stderr)?.[1] ?? '';
    return [...line.matchAll(/:\/\/[^\s,]*:(\d+)/g)].map((match) => Number(match[1]));
  }

  /** `http://host:port` */
  get adminOrigin(): string {
    return new URL(this.#announced('Admin API') ?? '').origin;
  }

  /** `https://host:port` where data planes connect. */
  get clusterOrigin(): string {
    return this.#announced('data planes') ?? '';
  }

  /** The URL of the metrics. */
  get metrics(): string {
    return this.#announced('metrics') ?? '';
  }

  /** A request to the data plane. */
  call(target: string, options?: CallOptions): Promise<Answer> {
    return call(`${this.traffic}${target}`, options);
  }

  /** A request to the Admin API, with the key; `what` is like `routes/1`. */
  admin(method: string, what: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return call(`${this.adminOrigin}/apisix/admin/${what}`, {
      method,
      headers: { 'X-API-KEY': ADMIN_KEY, ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  /** Puts a resource and throws unless it is taken. */
  async put(what: string, body: unknown): Promise<Answer> {
    const answer = await this.admin('PUT', what, body);
    if (answer.status >= 300) throw new Error(`PUT ${what}: ${answer.status} ${answer.body}`);
    return answer;
  }

  /** The lines of its own log so far. */
  get log(): readonly { level: string; message: string; [field: string]: unknown }[] {
    return jsonLines(this.stderr);
  }

  /** The lines of the access log on stdout so far. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into lines of any shape
  get accessLog(): readonly any[] {
    return jsonLines(this.stdout);
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it at once, whatever it does. */
  async kill(): Promise<void> {
    if (!this.#ended) this.child.kill('SIGKILL');
    await this.exited;
  }

  #announced(name: string): string | undefined {
    return new RegExp(`^ {2}${name} +(https?://[^\\s,]+)`, 'm').exec(this.stderr)?.[1];
  }
}

/** Runs a command of `sluice` to its end. */
export async function runSluice(
  scope: Scope,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<Exit & { stdout: string; stderr: string }> {
  const sluice = new SluiceProcess(scope, { ...options, args });
  const exit = await sluice.exited;
  return { ...exit, stdout: sluice.stdout, stderr: sluice.stderr };
}

function complete(args: readonly string[], options: ProcessOptions): readonly string[] {
  if (args[0] !== 'start') return args;
  const more: string[] = [];
  const missing = (name: string, value: string): void => {
    if (!args.includes(name)) more.push(name, value);
  };
  if (!options.keepWorkers) missing('--workers', String(options.workers ?? 1));
  const names = ['--admin-listen', '--metrics-listen', ...(options.keepListeners ? [] : ['--listen'])];
  for (const name of names) missing(name, '127.0.0.1:0');
  if (options.accessLog !== undefined) missing('--access-log', options.accessLog);
  return [...args, ...more];
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into lines of any shape
export function jsonLines(text: string): any[] {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
}
