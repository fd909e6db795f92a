// A client of bench/clients/ in a process of its own, on the core of the load.

import path from 'node:path';
import type { FromClient, Sample, ToClient } from '../clients/messages.ts';
import type { Bench } from './bench.ts';
import type { Child } from './children.ts';

export class ClientProcess {
  readonly #bench: Bench;
  readonly #child: Child;

  constructor(
    bench: Bench,
    name: 'paced-client' | 'idle-client' | 'websocket-client',
    args: readonly (string | number)[],
  ) {
    this.#bench = bench;
    this.#child = bench.children.start({
      command: process.execPath,
      args: [path.join(import.meta.dirname, '../clients', `${name}.ts`), ...args.map(String)],
      ipc: true,
      ...(bench.loadCpu !== undefined && { cpu: bench.loadCpu }),
    });
  }

  /** Resolves when the client says that its connections are open. */
  async opened(): Promise<void> {
    await this.#next('opened');
  }

  /** Resolves when so many connections are open in all. */
  async open(connections: number): Promise<void> {
    this.#tell({ type: 'open', connections });
    await this.opened();
  }

  /** Ends the measurement. */
  async samples(): Promise<readonly Sample[]> {
    this.#tell({ type: 'finish' });
    const message = await this.#next('samples');
    return message.type === 'samples' ? message.samples : [];
  }

  /** What it has counted since it was last asked. */
  async count(): Promise<number> {
    this.#tell({ type: 'count' });
    const message = await this.#next('counted');
    return message.type === 'counted' ? message.count : 0;
  }

  /** Closes its connections. */
  async close(): Promise<void> {
    this.#tell({ type: 'close' });
    await this.#next('closed');
  }

  stop(): Promise<void> {
    return this.#bench.children.stop(this.#child);
  }

  #tell(message: ToClient): void {
    this.#child.process.send(message);
  }

  #next(type: FromClient['type']): Promise<FromClient> {
    const { process: child } = this.#child;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        child.off('message', onMessage);
        child.off('close', onClose);
        act();
      };
      const onMessage = (message: FromClient) =>
        settle(() =>
          message.type === type
            ? resolve(message)
            : reject(new Error(message.type === 'failed' ? message.message : `unexpected ${message.type}`)),
        );
      const onClose = () => settle(() => reject(new Error(`a client ended:\n${this.#child.lastWords}`)));
      child.on('message', onMessage);
      child.on('close', onClose);
    });
  }
}
