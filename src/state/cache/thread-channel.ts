import { BroadcastChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { CacheChannel, CacheMessage } from './cache-message.ts';

/** Messages to all other threads of the process that have a channel of this name. */
export class ThreadChannel implements CacheChannel {
  readonly #channel: BroadcastChannel;
  readonly #listeners = new Map<string, (message: CacheMessage) => void>();

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name);
    // It must not keep a process or a test alive.
    this.#channel.unref();
    this.#channel.onmessage = (event) => this.#hear((event as { readonly data: CacheMessage }).data);
  }

  post(message: CacheMessage): void {
    this.#channel.postMessage(message);
  }

  listen(zone: string, listener: (message: CacheMessage) => void): void {
    this.#listeners.set(zone, listener);
  }

  drain(): void {
    // It takes both kinds, but @types/node knows of one only.
    const port = this.#channel as unknown as MessagePort;
    for (;;) {
      const received: { readonly message: CacheMessage } | undefined = receiveMessageOnPort(port);
      if (received === undefined) return;
      this.#hear(received.message);
    }
  }

  #hear(message: CacheMessage): void {
    this.#listeners.get(message.zone)?.(message);
  }

  close(): void {
    this.#channel.close();
  }
}
