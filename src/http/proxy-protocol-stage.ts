// Reads the PROXY protocol header at the beginning of accepted connections, before TLS and HTTP.

import type net from 'node:net';
import { type Deadlines, disarm, type Waiting } from '../lib/deadlines.ts';
import { beginEvent } from '../lib/event-clock.ts';
import type { FirstStage, Peer } from './first-stage.ts';
import { parseProxyHeader } from './proxy-protocol.ts';

export interface ProxyProtocolOptions {
  /** Who may speak for others; anybody else is sent away. */
  readonly trusted: { has(address: string): boolean };
  /** In what time the header must be there. */
  readonly deadlines: Deadlines;
  /** A connection was closed: a short fixed word for why, and whose it was. */
  onRefused(reason: string, address: string): void;
}

/** What sockets have beyond their documented interface. */
interface Handle {
  reading: boolean;
  readStop(): number;
}

/** A stage that takes the header. */
export function proxyProtocolStage(options: ProxyProtocolOptions): FirstStage {
  return (socket, then) => {
    const hop = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    if (options.trusted.has(hop.address)) new HeaderReading(socket, hop, options, then);
    else {
      socket.destroy();
      options.onRefused('proxy_protocol_untrusted', hop.address);
    }
  };
}

class HeaderReading implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly #socket: net.Socket;
  readonly #hop: Peer;
  readonly #options: ProxyProtocolOptions;
  readonly #then: (peer: Peer) => void;
  #read: Buffer = Buffer.alloc(0);
  readonly #onData = (bytes: Buffer): void => this.#take(bytes);
  readonly #onEnd = (): void => this.#refuse('proxy_protocol_missing');
  readonly #onError = (): void => {};
  readonly #onClose = (): void => disarm(this);

  constructor(socket: net.Socket, hop: Peer, options: ProxyProtocolOptions, then: (peer: Peer) => void) {
    this.#socket = socket;
    this.#hop = hop;
    this.#options = options;
    this.#then = then;
    beginEvent();
    options.deadlines.arm(this);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.resume();
  }

  onDeadline(): void {
    this.#refuse('proxy_protocol_timeout');
  }

  #take(bytes: Buffer): void {
    beginEvent();
    this.#read = this.#read.length === 0 ? bytes : Buffer.concat([this.#read, bytes]);
    const header = parseProxyHeader(this.#read);
    if (header === undefined) return;
    if (header === null) return this.#refuse('proxy_protocol_bad');
    this.#stop();
    const rest = this.#read.subarray(header.length);
    if (rest.length > 0) this.#socket.unshift(rest);
    // The socket may only change hands outside of its own callback.
    process.nextTick(() => {
      beginEvent();
      if (this.#socket.destroyed) return;
      this.#socket.off('error', this.#onError);
      this.#then(header.source ?? this.#hop);
    });
  }

  /** Nothing more is read, and nothing that happens is heard. */
  #stop(): void {
    disarm(this);
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    socket.pause();
    const handle = (socket as net.Socket & { _handle: Handle | null })._handle;
    if (handle?.reading) {
      handle.reading = false;
      handle.readStop();
    }
  }

  #refuse(reason: string): void {
    disarm(this);
    if (this.#socket.destroyed) return;
    this.#socket.destroy();
    this.#options.onRefused(reason, this.#hop.address);
  }
}
