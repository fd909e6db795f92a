import type { ClientConnection } from '../http/client-connection.ts';
import { output } from '../http/output.ts';
import { CONGESTED, type Transport, type TransportOwner } from '../http/transport.ts';
import type { UpstreamConnection } from '../http/upstream-connection.ts';
import type { Exchange } from './exchange.ts';

/** Two connections that only pass bytes to each other, with back-pressure, until both have ended. */
export class Tunnel implements TransportOwner {
  readonly #exchange: Exchange;
  readonly #client: Transport;
  readonly #upstream: UpstreamConnection;
  #closed = false;

  constructor(exchange: Exchange, connection: ClientConnection, upstream: UpstreamConnection) {
    this.#exchange = exchange;
    this.#client = connection.transport;
    this.#upstream = upstream;
    upstream.tunnel = new UpstreamEnd(this);
  }

  // What the client does.

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
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

  // What the Upstream does.

  onUpstreamData(bytes: Uint8Array, start: number, end: number): void {
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

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#upstream.destroy();
    this.#client.destroy();
    this.#exchange.connection = null;
    this.#exchange.end();
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
