// The old process's side of an upgrade: starts the new one, hands it the sockets, and waits until it
// serves. The kernel's sockets live as long as one of the two holds them, so that no connection that
// waits to be accepted is ever lost. The other side is predecessor.ts.

import { type ChildProcess, spawn } from 'node:child_process';
import { HANDED_SOCKETS, type HandedSocket, type ToPredecessor, type ToSuccessor } from './predecessor.ts';

export interface SuccessorOptions {
  /** A program and its arguments. */
  readonly command: readonly string[];
  readonly sockets: readonly HandedSocket[];
  /** Lets go of what only one process may hold; may be called again. */
  letGo(): Promise<void>;
  /** How long it may take until it serves, in milliseconds. */
  readonly patienceMs: number;
  readonly signal?: AbortSignal;
}

/** stdin, stdout, stderr and the channel come first. */
const FIRST_FD = 4;

/** What starts this program as it was started, from the file that is there now. */
export function ownCommand(): readonly string[] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}

/**
 * Starts a process to take over from this one. Resolves to its id when it serves; rejects with what
 * went wrong when it doesn't, and then it has ended.
 */
export async function startSuccessor(options: SuccessorOptions): Promise<number> {
  const { command, sockets, patienceMs, signal } = options;
  const fds = sockets.flatMap((socket) => socket.fds);
  let next = FIRST_FD;
  const handed = sockets.map((socket) => ({ ...socket, fds: socket.fds.map(() => next++) }));
  const child = spawn(command[0], command.slice(1), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...fds],
    env: { ...process.env, [HANDED_SOCKETS]: JSON.stringify(handed) },
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`it can't be started: ${error.message}`));
    child.once('exit', (code, by) =>
      resolve(`it ended before it was ready (${by === null ? `code ${code}` : by}); its own log says why`),
    );
  });
  const problem = await Promise.race([
    ended,
    served(child, options),
    passed(patienceMs),
    new Promise<string>((resolve) => {
      const stop = (): void => resolve('this process is told to end');
      if (signal?.aborted) stop();
      signal?.addEventListener('abort', stop, { once: true });
    }),
  ]);
  if (problem === undefined) {
    child.unref();
    return child.pid!;
  }
  // Nothing of it may hold on to the database, or to a port, when this process goes on.
  child.kill('SIGKILL');
  await ended;
  throw new Error(problem);
}

function served(child: ChildProcess, { letGo }: SuccessorOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.on('message', (message: ToPredecessor) => {
      if (message.type === 'ready') return resolve(undefined);
      letGo().then(
        () => child.send({ type: 'gone' } satisfies ToSuccessor, () => {}),
        (error: Error) => resolve(`the store can't be let go of: ${error.message}`),
      );
    });
  });
}

function passed(patienceMs: number): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(`it was not ready within ${patienceMs / 1000} s`), patienceMs).unref();
  });
}
