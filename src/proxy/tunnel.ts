import type { ClientConnection, ClientTunnel } from '../http/client-connection.ts';
import { output } from '../http/output.ts';
import { CONGESTED, type Transport, type TransportOwner } from '../http/transport.ts';
import type { UpstreamConnection } from '../http/upstream-connection.ts';
import { type Deadlines, disarm, type Waiting } from '../lib/deadlines.ts';
import type { Exchange } from './exchange.ts';

/** Two connections that only pass bytes to each other, with back-pressure, until both have ended. */
export class Tunnel implements ClientTunnel, Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly #exchange: Exchange;
  readonly #connection: ClientConnection;
  readonly #client: Transport;
  readonly #upstream: UpstreamConnection;
  #closed = false;

  constructor(exchange: Exchange, connection: ClientConnection, upstream: UpstreamConnection) {
    this.#exchange = exchange;
    this.#connection = connection;
    this.#client = connection.transport;
    this.#upstream = upstream;
    upstream.tunnel = new UpstreamEnd(this);
    this.#rest();
  }

  /** Neither side has said anything for the time that the Upstream may take between two reads. */
  onDeadline(): void {
    this.#exchange.reason = 'tunnel_idle';
    this.#close();
  }

  // What the client does.

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    this.#rest();
    this.#exchange.bytesIn += end - start;
    if (output.relay(this.#upstream.transport, bytes, start, end) === CONGESTED) this.#client.pause();
  }

  onEnd(): void {
    this.#upstream.transport.end();
  }

  onDrain(): void {
    this.#upstream.transport.resume();
  }

  onClose(): void {
    this.#close();
  }

  onDraining(): void {}

  // What the Upstream does.

  onUpstreamData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return;
    this.#rest();
    this.#exchange.bytesOut += end - start;
    if (output.relay(this.#client, bytes, start, end) === CONGESTED) this.#upstream.transport.pause();
  }

  onUpstreamEnd(): void {
    this.#client.end();
  }

  onUpstreamDrain(): void {
    this.#client.resume();
  }

  onUpstreamClose(): void {
    this.#close();
  }

  #rest(): void {
    this.#upstream.readDeadlines.arm(this);
  }

  /** The Exchange ends here and may be another request's from then on. */
  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    disarm(this);
    this.#upstream.destroy();
    this.#exchange.connection = null;
    this.#exchange.end();
    // The client gets what is on its way to it.
    this.#connection.close();
  }
}

class UpstreamEnd implements TransportOwner {
  readonly #tunnel: Tunnel;

  constructor(tunnel: Tunnel) {
    this.#tunnel = tunnel;
  }

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    this.#tunnel.onUpstreamData(bytes, start, end);
  }

  onEnd(): void {
    this.#tunnel.onUpstreamEnd();
  }

  onDrain(): void {
    this.#tunnel.onUpstreamDrain();
  }

  onClose(): void {
    this.#tunnel.onUpstreamClose();
  }
}
