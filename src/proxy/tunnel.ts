import type { ClientConnection, ClientTunnel } from '../http/client-connection.ts';
import { output } from '../http/output.ts';
import { CONGESTED, type Transport, type TransportOwner } from '../http/transport.ts';
import type { UpstreamConnection } from '../http/upstream-connection.ts';
import { closeFrame, FrameFollower } from '../http/websocket-frames.ts';
import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import type { Exchange } from './exchange.ts';

/** "Going away" (RFC 6455 7.4.1). */
const GOING_AWAY = 1001;
/** How long both sides may take to say good-bye. */
const FAREWELL = deadlinesOf(2_000);

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
  /** What has passed in each direction, to know where a Close frame of ours may stand. */
  readonly #toUpstream = new FrameFollower();
  readonly #toClient = new FrameFollower();
  #draining = false;
  /** Our Close frame was sent; nothing may follow it. */
  #upstreamTold = false;
  #clientTold = false;

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
    if (!this.#draining) this.#exchange.reason = 'tunnel_idle';
    this.#close();
  }

  // What the client does.

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    this.#rest();
    this.#exchange.bytesIn += end - start;
    const to = this.#toUpstream.follow(bytes, start, end, this.#draining && !this.#upstreamTold);
    if (!this.#upstreamTold) {
      if (output.relay(this.#upstream.transport, bytes, start, to) === CONGESTED) this.#client.pause();
    }
    if (this.#draining) {
      this.#sayGoodBye();
      this.#toUpstream.follow(bytes, to, end, false);
      this.#closeIfBothAnswered();
    }
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

  onDraining(): void {
    if (this.#draining || this.#closed) return;
    this.#draining = true;
    this.#exchange.reason = 'draining';
    FAREWELL.arm(this);
    this.#sayGoodBye();
  }

  /** Sends a Close frame to each side whose last frame is complete. */
  #sayGoodBye(): void {
    if (!this.#upstreamTold && this.#toUpstream.between) {
      this.#upstreamTold = true;
      if (!this.#toUpstream.closed) this.#send(this.#upstream.transport, true);
    }
    if (!this.#clientTold && this.#toClient.between) {
      this.#clientTold = true;
      if (!this.#toClient.closed) this.#send(this.#client, false);
    }
  }

  #closeIfBothAnswered(): void {
    if (this.#toUpstream.closed && this.#toClient.closed) this.#close();
  }

  #send(to: Transport, masked: boolean): void {
    const frame = closeFrame(GOING_AWAY, masked);
    to.write(frame, 0, frame.length);
  }

  // What the Upstream does.

  onUpstreamData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#closed) return;
    this.#rest();
    this.#exchange.bytesOut += end - start;
    const to = this.#toClient.follow(bytes, start, end, this.#draining && !this.#clientTold);
    if (!this.#clientTold) {
      if (output.relay(this.#client, bytes, start, to) === CONGESTED) this.#upstream.transport.pause();
    }
    if (this.#draining) {
      this.#sayGoodBye();
      this.#toClient.follow(bytes, to, end, false);
      this.#closeIfBothAnswered();
    }
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
    if (!this.#draining) this.#upstream.readDeadlines.arm(this);
    // A frame that is under way may take its time, as long as it moves.
    else if (!this.#upstreamTold || !this.#clientTold) FAREWELL.arm(this);
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
