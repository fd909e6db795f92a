import dgram from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { isIPv6 } from 'node:net';
import { plainAddress } from '../http/plain-address.ts';
import { beginEvent } from '../lib/event-clock.ts';
import type { Logger } from '../plugin/kit.ts';
import type { Refusals } from './refusals.ts';
import type { StreamHost } from './stream-exchange.ts';
import { UdpSession } from './udp-session.ts';

export interface UdpListenerOptions {
  readonly host: StreamHost;
  readonly log: Logger;
  readonly refusals: Refusals;
  /** Sessions at once; a further client's datagrams are dropped. */
  readonly maxSessions: number;
}

/** Bytes on their way to clients that the system has not taken yet; what comes then is dropped, as a full network would. */
const MAX_QUEUED_BYTES = 1 << 20;

/** One UDP address on which datagrams are accepted: they belong to sessions by the client's address and port. */
export class UdpListener {
  readonly #options: UdpListenerOptions;
  readonly #sessions = new Map<string, UdpSession>();
  #socket: dgram.Socket | undefined;
  #draining = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: UdpListenerOptions) {
    this.#options = options;
  }

  /** Sessions that are kept. */
  get size(): number {
    return this.#sessions.size;
  }

  /** With `reusePort` the system spreads clients over those who listen, each client's datagrams always to the same. */
  bind(host: string, port: number, reusePort: boolean): Promise<void> {
    const socket = dgram.createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', reusePort });
    this.#socket = socket;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: host, port }, () => {
        socket.off('error', reject);
        socket.on('error', (error) => this.#options.log.error('listener failed', { error: error.message }));
        socket.on('message', (datagram, from) => this.#onDatagram(datagram, from));
        resolve();
      });
    });
  }

  address(): AddressInfo {
    return this.#socket!.address();
  }

  #onDatagram(datagram: Buffer, { address, port }: dgram.RemoteInfo): void {
    beginEvent();
    const key = `${address}|${port}`;
    let session = this.#sessions.get(key);
    if (session === undefined) {
      if (this.#draining) return;
      const { host, refusals, maxSessions } = this.#options;
      if (this.#sessions.size >= maxSessions) return refusals.add('max_udp_sessions', address);
      const local = this.address();
      session = new UdpSession({
        host,
        clientPort: port,
        ends: {
          clientAddress: plainAddress(address),
          serverAddress: plainAddress(local.address),
          serverPort: local.port,
        },
        answer: (bytes) => this.#answer(bytes, address, port),
        onEnd: () => this.#forget(key),
      });
      this.#sessions.set(key, session);
      session.start();
    }
    session.send(datagram);
  }

  #answer(datagram: Buffer, address: string, port: number): void {
    const socket = this.#socket!;
    if (socket.getSendQueueSize() > MAX_QUEUED_BYTES) return;
    // A client that is not reachable is no trouble of the listener's.
    socket.send(datagram, port, address, () => {});
  }

  #forget(key: string): void {
    this.#sessions.delete(key);
    if (this.#sessions.size === 0) this.#onEmpty?.();
  }

  /** Takes no new clients, waits for answers that are due, and closes. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    for (const session of [...this.#sessions.values()]) session.drain();
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const session of [...this.#sessions.values()]) session.end('drained');
    this.#socket?.close();
  }
}
