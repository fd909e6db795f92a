// The new process's side of an upgrade: which sockets the one before it hands over, and what the two
// have to tell each other. The other side is successor.ts.

import { closeSync } from 'node:fs';
import { type AddressInfo, Server } from 'node:net';
import { descriptorOf } from '../lib/descriptor.ts';
import type { PidFile } from './pid-file.ts';

/** A socket that listens, or several on one address, as one process hands them to the next. */
export interface HandedSocket {
  /** Whose it is and where it was asked to listen, such as `traffic tcp 0.0.0.0:9080`. */
  readonly name: string;
  /** Where it does; another port than asked for where that was 0. */
  readonly port: number;
  /** File descriptors; none for UDP, which the new process joins by the address. */
  readonly fds: readonly number[];
}

/** Holds a list of HandedSocket as JSON; its file descriptors are those of the process that reads it. */
export const HANDED_SOCKETS = 'SLUICE_HANDED_SOCKETS';

export type ToPredecessor =
  /** The new process wants to open what only one may hold: a database, a file. */
  | { readonly type: 'let-go' }
  /** It serves. */
  | { readonly type: 'ready' };
/** What was asked for is let go of. */
export type ToSuccessor = { readonly type: 'gone' };

/** How `HandedSocket.name` is made. */
export function socketName(
  owner: string,
  { host, port }: { readonly host: string; readonly port: number },
): string {
  return `${owner} ${host}:${port}`;
}

/** What a server that listens hands over. */
export function handedSocket(name: string, server: Server): HandedSocket {
  const fd = descriptorOf(server);
  return { name, port: (server.address() as AddressInfo).port, fds: fd === undefined ? [] : [fd] };
}

/** Leaves an address to another process. An HTTP server's own `close` ends connections that are about to ask, too. */
export function leave(server: Server): void {
  Server.prototype.close.call(server);
}

/** The process that this one takes over from; one that is simply started has none, and gets nothing from it. */
export class Predecessor {
  readonly #pidFile: PidFile | undefined;
  readonly #sockets: HandedSocket[];
  /** Somebody else may have started this process with a channel, for other purposes. */
  readonly #exists: boolean;

  /** To be called once. `pidFile` changes its owner when this process serves. */
  static find(pidFile?: PidFile): Predecessor {
    const text = process.env[HANDED_SOCKETS];
    // Neither workers nor what Plugins start may take it for theirs.
    delete process.env[HANDED_SOCKETS];
    return new Predecessor(text, pidFile);
  }

  private constructor(text: string | undefined, pidFile: PidFile | undefined) {
    this.#exists = text !== undefined && process.send !== undefined;
    this.#sockets = this.#exists ? JSON.parse(text!) : [];
    this.#pidFile = pidFile;
  }

  /** The sockets of an address; undefined where it had none. Each is given once. */
  take(name: string): HandedSocket | undefined {
    const index = this.#sockets.findIndex((socket) => socket.name === name);
    return index < 0 ? undefined : this.#sockets.splice(index, 1)[0];
  }

  /** Resolves when it holds neither the database nor any file that only one process may write; also when it is gone. */
  letGo(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#exists || !process.connected) return resolve();
      const done = (): void => {
        process.off('message', done);
        process.off('disconnect', done);
        resolve();
      };
      process.on('message', done);
      process.on('disconnect', done);
      tell({ type: 'let-go' });
    });
  }

  /** Says that this process serves: the other one, if there is one, leaves. */
  ready(): void {
    // Before the other one ends: who watches it by this file must know by then whom to watch.
    this.#pidFile?.write();
    if (!this.#exists) return;
    // What the new configuration doesn't listen on any more.
    for (const { fds } of this.#sockets.splice(0)) for (const fd of fds) closeSync(fd);
    tell({ type: 'ready' }, () => {
      if (process.connected) process.disconnect?.();
    });
  }
}

function tell(message: ToPredecessor, sent = (): void => {}): void {
  // It may be gone; then nobody needs to know.
  if (process.connected) process.send?.(message, undefined, undefined, sent);
}
