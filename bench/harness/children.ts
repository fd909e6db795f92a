// The processes that a benchmark starts, so that each of them is stopped whatever happens.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findCommand } from '../../tools/ensure-command.ts';
import { processTree } from './process-tree.ts';

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** The core it may use; any when absent. */
  readonly cpu?: number;
  readonly env?: NodeJS.ProcessEnv;
  /** Its stdout is wanted; it goes to the log file otherwise. */
  readonly readsStdout?: boolean;
  /** Messages are exchanged with it. */
  readonly ipc?: boolean;
}

/** How long a process may take to end in order. */
const PATIENCE_MS = 5_000;

export class Child {
  readonly process: ChildProcess;
  readonly #logFile: string;
  stdout = '';

  constructor(process: ChildProcess, logFile: string) {
    this.process = process;
    this.#logFile = logFile;
    process.stdout?.setEncoding('utf8').on('data', (text) => (this.stdout += text));
  }

  get pid(): number {
    return this.process.pid!;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** The end of what it said. */
  get lastWords(): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-20).join('\n');
  }

  /** Resolves with its exit code when it has ended; null after a signal. */
  async exit(): Promise<number | null> {
    if (!this.ended) await new Promise((resolve) => this.process.once('close', resolve));
    return this.process.exitCode;
  }
}

export class Children {
  readonly #folder: string;
  readonly #running = new Set<Child>();
  #count = 0;

  /** `folder` is for what the processes say. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  start({ command, args, cpu, env, readsStdout = false, ipc = false }: ChildOptions): Child {
    const logFile = path.join(this.#folder, `${++this.#count}-${path.basename(command)}.log`);
    const log = openSync(logFile, 'a');
    const words = [...wrapping(cpu), command, ...args];
    const spawned = spawn(words[0], words.slice(1), {
      cwd: this.#folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', readsStdout ? 'pipe' : log, log, ...(ipc ? (['ipc'] as const) : [])],
      // Ctrl-C reaches the whole group of a terminal; these are stopped by us, in order.
      detached: true,
    });
    closeSync(log);
    const child = new Child(spawned, logFile);
    spawned.on('error', () => this.#running.delete(child));
    spawned.on('close', () => this.#running.delete(child));
    if (spawned.pid !== undefined) this.#running.add(child);
    return child;
  }

  /** Asks it to end, and ends it and what it started when it doesn't. */
  async stop(child: Child): Promise<void> {
    if (child.ended) return;
    const tree = processTree(child.pid);
    child.process.kill('SIGTERM');
    const ended = await Promise.race([child.exit().then(() => true), delay(PATIENCE_MS, false)]);
    if (!ended) for (const pid of tree) kill(pid);
    await child.exit();
  }

  /** In the opposite order of their starts. */
  async stopAll(): Promise<void> {
    for (const child of [...this.#running].reverse()) await this.stop(child);
  }

  /** For the very end, when nothing can be awaited. */
  killAll(): void {
    for (const child of this.#running) for (const pid of processTree(child.pid)) kill(pid);
  }
}

/** Commands that keep a process on its core, and end it when we are killed without a chance to. */
function wrapping(cpu: number | undefined): string[] {
  const setpriv = findCommand('setpriv');
  return [
    ...(cpu === undefined ? [] : [findCommand('taskset') ?? 'taskset', '--cpu-list', String(cpu)]),
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'TERM']),
  ];
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
