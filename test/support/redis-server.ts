// A real Redis for a test: on a port of its own, with a folder of its own, gone when the test is over.

import { type ChildProcess, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { ensureCommand, type NeededCommand } from '../../tools/ensure-command.ts';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './process.ts';

/** tools/test.ts installs it beforehand; a test file that is run alone does it here. */
export const REDIS_SERVER: NeededCommand = {
  command: 'redis-server',
  debianPackage: 'redis-server',
  purpose: 'test what is shared through Redis',
};

export interface RedisServerOptions {
  /** What follows `redis-server`, such as `['--requirepass', 'secret']`. */
  readonly args?: readonly string[];
  /** A file of settings that Redis may rewrite, as a sentinel wants it. */
  readonly configuration?: string;
  /** A port to listen on again after a crash; a free one by default. */
  readonly port?: number;
  /** Password with which `command` signs in. */
  readonly password?: string;
}

const alive = new Set<ChildProcess>();
// A test that fails, or a file that is ended, must leave nothing behind.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export class RedisServer {
  readonly port: number;
  readonly child: ChildProcess;
  readonly #password: string | undefined;
  readonly #exited: Promise<void>;
  #output = '';
  #ended = false;

  private constructor(scope: Scope, port: number, options: RedisServerOptions) {
    this.port = port;
    this.#password = options.password;
    // Kept in memory alone: what a test wants to survive, it says in `args`.
    const { configuration, args = [] } = options;
    const own = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const all = [...(configuration === undefined ? [] : [configuration]), ...own, ...args];
    this.child = spawn(ensureCommand(REDIS_SERVER), all, {
      cwd: temporaryFolder(scope),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(this.child);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (part) => {
        this.#output += part;
      });
    }
    this.#exited = new Promise((resolve) => {
      this.child.on('close', () => {
        this.#ended = true;
        alive.delete(this.child);
        resolve();
      });
    });
    scope.after(() => this.kill());
  }

  /** Starts a server and waits until it says that it accepts connections. */
  static async start(scope: Scope, options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(scope, options.port ?? (await freePort()), options);
    await eventually('Redis is ready', () => {
      if (server.#ended) throw new Error(`Redis ended: ${server.#output}`);
      return /eady to accept connections|Sentinel ID is/.test(server.#output);
    });
    return server;
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output;
  }

  /** Sends one command and resolves with its answer; an error answer rejects. */
  async command(...words: readonly string[]): Promise<unknown> {
    const socket = connect(this.port, '127.0.0.1');
    try {
      if (this.#password !== undefined) await exchange(socket, ['AUTH', this.#password]);
      return await exchange(socket, words);
    } finally {
      socket.destroy();
    }
  }

  /** Stops it where it stands: it keeps its connections, the system accepts further ones, nobody answers. */
  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }

  /** Ends it at once, whatever it does. */
  async kill(): Promise<void> {
    if (!this.#ended) this.child.kill('SIGKILL');
    await this.#exited;
  }
}

function exchange(socket: Socket, words: readonly string[]): Promise<unknown> {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  socket.write(`*${words.length}\r\n${parts.join('')}`);
  let received = '';
  return new Promise((resolve, reject) => {
    const onData = (bytes: Buffer): void => {
      received += bytes.toString('latin1');
      const answer = readAnswer(received, 0);
      if (answer === undefined) return;
      socket.off('data', onData);
      if (answer.value instanceof Error) reject(answer.value);
      else resolve(answer.value);
    };
    socket.on('data', onData);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`Redis closed the connection on ${words[0]}`)));
  });
}

/** RESP2 as text: a value and where it ends, or undefined while some of it is missing. */
function readAnswer(text: string, start: number): { value: unknown; end: number } | undefined {
  const lineEnd = text.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const line = text.slice(start + 1, lineEnd);
  let end = lineEnd + 2;
  switch (text[start]) {
    case '+':
      return { value: line, end };
    case '-':
      return { value: new Error(line), end };
    case ':':
      return { value: Number(line), end };
    case '$': {
      const length = Number(line);
      if (length < 0) return { value: null, end };
      if (text.length < end + length + 2) return undefined;
      return { value: text.slice(end, end + length), end: end + length + 2 };
    }
    default: {
      const values: unknown[] = [];
      for (let left = Number(line); left > 0; left--) {
        const element = readAnswer(text, end);
        if (element === undefined) return undefined;
        values.push(element.value);
        end = element.end;
      }
      return { value: values, end };
    }
  }
}
