// HTTP/2 beside HTTP/1.1 on a Listener without TLS: who begins with the preface has prior knowledge
// (RFC 9113 3.3). With TLS, ALPN decides and `serve` takes the socket.

import http2 from 'node:http2';
import type net from 'node:net';
import { ClientConnection } from '../http/client-connection.ts';
import type { Accepted } from '../http/server-exchange.ts';
import type { SocketTransport } from '../http/socket-transport.ts';
import type { TransportOwner } from '../http/transport.ts';
import { type Deadlines, disarm, type Waiting } from '../lib/deadlines.ts';
import { ClientSession, type SessionHost } from './client-session.ts';
import type { ClientAddress } from './client-stream.ts';

/** No request of HTTP/1.1 begins so: PRI is a method for nothing else, and the version is none of its. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n');

/**
 * Serves HTTP/2 on a connected socket of node:net or node:tls. Bytes already read from it must have
 * been put back with `unshift`. The host hears when it is closed.
 */
export function serve(
  host: SessionHost,
  socket: net.Socket,
  address: ClientAddress = addressOf(socket),
): ClientSession {
  return new ClientSession(host, http2, socket, address);
}

function addressOf(socket: net.Socket): ClientAddress {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
  return { remoteAddress, remotePort, localAddress, localPort, tls: null };
}

/** A connection whose protocol is not known yet. */
export class FirstBytes implements TransportOwner, Accepted, Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly #host: SessionHost;
  readonly #transport: SocketTransport;
  #seen: Buffer | undefined;

  constructor(host: SessionHost, makeTransport: (owner: TransportOwner) => SocketTransport) {
    this.#host = host;
    this.#transport = makeTransport(this);
    host.limits.head.arm(this);
  }

  get remoteAddress(): string {
    return this.#transport.remoteAddress;
  }

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    const seen = this.#seen;
    if (seen === undefined && bytes[start] !== PREFACE[0]) return this.#become1(bytes, start, end);
    const piece = bytes.subarray(start, end);
    const all = seen === undefined ? Buffer.from(piece) : Buffer.concat([seen, piece]);
    const known = Math.min(all.length, PREFACE.length);
    if (PREFACE.compare(all, 0, known, 0, known) !== 0) this.#become1(all, 0, all.length);
    else if (known < PREFACE.length) this.#seen = all;
    else this.#become2(all);
  }

  #become1(bytes: Buffer, start: number, end: number): void {
    disarm(this);
    const transport = this.#transport;
    const connection = new ClientConnection(this.#host, (owner) => {
      transport.owner = owner;
      return transport;
    });
    this.#host.onBecame(this, connection);
    connection.onData(bytes, start, end);
  }

  #become2(bytes: Buffer): void {
    disarm(this);
    const { remoteAddress, remotePort, localAddress, localPort } = this.#transport;
    const socket = this.#transport.detach();
    socket.unshift(bytes);
    const address = { remoteAddress, remotePort, localAddress, localPort, tls: null };
    this.#host.onBecame(this, serve(this.#host, socket, address));
  }

  onEnd(): void {
    this.destroy();
  }

  onDrain(): void {}

  onClose(): void {
    disarm(this);
    this.#host.onConnectionClosed(this);
  }

  onDeadline(): void {
    this.destroy();
  }

  drain(): void {
    this.destroy();
  }

  destroy(): void {
    this.#transport.destroy();
  }
}
