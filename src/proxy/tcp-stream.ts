import { output } from '../http/output.ts';
import { plainAddress } from '../http/plain-address.ts';
import { proxyHeader } from '../http/proxy-header.ts';
import { CONGESTED, type Transport, type TransportOwner } from '../http/transport.ts';
import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import { CLIENT_HELLO_MAX, readClientHello } from '../tls/client-hello.ts';
import { StreamExchange, type StreamHost } from './stream-exchange.ts';
import type { Target } from './upstream.ts';

/** A stream without `timeout` may be silent for so long, as with nginx. */
const IDLE_MS = 600_000;
/** How long a closed side may take to read what is on its way to it. */
const LINGER = deadlinesOf(5_000);

const Stage = { Hello: 0, Deciding: 1, Connecting: 2, Open: 3, Closing: 4, Closed: 5 } as const;

/** What accepts TcpStreams. */
export interface TcpStreamHost extends StreamHost {
  /** In what time a ClientHello must be there. */
  readonly helloDeadlines: Deadlines;
  onStreamClosed(stream: TcpStream): void;
}

/** What a handshake found out that a stream route may ask for. */
export interface TerminatedTls {
  readonly serverName: string | undefined;
}

/** A client's connection, the way to a Target, and the bytes between them, with back-pressure and half-close. */
export class TcpStream implements TransportOwner, Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly #host: TcpStreamHost;
  readonly exchange: StreamExchange;
  readonly #client: Transport;
  #stage: number = Stage.Deciding;
  #side: TargetSide | undefined;
  #idle: Deadlines = LINGER;
  /** What the client has sent before there was somebody to give it to. */
  #early: Buffer | undefined;
  #earlyLength = 0;
  /** Not worth looking for a ClientHello in fewer bytes. */
  #helloNeeds = 1;
  #clientEnded = false;
  #clientClosed = false;

  /** `session` is there when TLS was terminated in front of it. */
  constructor(
    host: TcpStreamHost,
    makeTransport: (owner: TransportOwner) => Transport,
    session?: TerminatedTls,
  ) {
    this.#host = host;
    const client = makeTransport(this);
    this.#client = client;
    this.exchange = new StreamExchange(host, 'tcp', client.remotePort, {
      clientAddress: plainAddress(client.remoteAddress),
      serverAddress: plainAddress(client.localAddress),
      serverPort: client.localPort,
    });
    if (session !== undefined) {
      this.exchange.protocol = 'tls';
      this.exchange.serverName = session.serverName?.toLowerCase();
      this.#decide();
    } else if (host.routes.router.wantsServerName(this.exchange.ends)) {
      this.#stage = Stage.Hello;
      host.helloDeadlines.arm(this);
    } else this.#decide();
  }

  /** Ends it now, because the process does. */
  destroy(): void {
    this.exchange.reason ||= 'drained';
    this.#close(true);
  }

  onDeadline(): void {
    switch (this.#stage) {
      case Stage.Hello:
        return this.#refuse(408, 'client_hello_timeout');
      case Stage.Connecting:
        this.#side?.letGo();
        this.exchange.attemptFailed(504, 'connect_timeout');
        return this.#attempt();
      case Stage.Open:
        this.exchange.reason = 'idle_timeout';
        return this.#close();
      case Stage.Closing:
        this.#client.destroy();
    }
  }

  // What the client does.

  onConnected(): void {}

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#stage >= Stage.Closing) return;
    this.exchange.bytesIn += end - start;
    if (this.#stage === Stage.Open) {
      this.#idle.arm(this);
      if (output.relay(this.#side!.transport, bytes, start, end) === CONGESTED) this.#client.pause();
      return;
    }
    this.#keep(bytes, start, end);
    if (this.#stage === Stage.Hello) this.#lookForHello();
    else this.#client.pause();
  }

  onEnd(): void {
    this.#clientEnded = true;
    if (this.#stage === Stage.Open) this.#side!.transport.end();
    else if (this.#stage === Stage.Hello) {
      if (this.#earlyLength === 0) this.#refuse(499, 'client_abort');
      else this.#refuse(400, 'bad_client_hello');
    } else if (this.#stage < Stage.Open && this.#earlyLength === 0) {
      // A client that only half-closes before it has sent anything is gone, as far as anybody knows.
      this.#refuse(499, 'client_abort');
    }
  }

  onDrain(): void {
    if (this.#stage !== Stage.Open) return;
    this.#idle.arm(this);
    this.#side!.transport.resume();
  }

  onClose(error: Error | undefined): void {
    this.#clientClosed = true;
    if (this.#stage === Stage.Open) {
      if (error !== undefined) {
        this.exchange.reason ||= 'client_reset';
        this.#side!.transport.reset();
        this.#close();
      } else if (this.#side!.closed) this.#close();
    } else if (this.#stage < Stage.Open) {
      this.exchange.refuse(499, 'client_abort');
      this.#close();
    } else this.#close();
  }

  // Which way.

  #keep(bytes: Buffer, start: number, end: number): void {
    const length = this.#earlyLength + end - start;
    if (this.#early === undefined || length > this.#early.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#earlyLength));
      this.#early?.copy(larger, 0, 0, this.#earlyLength);
      this.#early = larger;
    }
    bytes.copy(this.#early, this.#earlyLength, start, end);
    this.#earlyLength = length;
  }

  #lookForHello(): void {
    if (this.#earlyLength < this.#helloNeeds) return;
    const length = Math.min(this.#earlyLength, CLIENT_HELLO_MAX);
    const hello = readClientHello(this.#early!, length);
    switch (hello.kind) {
      case 'more':
        this.#helloNeeds = hello.needed;
        return;
      case 'malformed':
        return this.#refuse(400, 'bad_client_hello');
      case 'hello':
        this.exchange.protocol = 'tls';
        this.exchange.serverName = hello.serverName;
    }
    disarm(this);
    this.#client.pause();
    this.#decide();
  }

  #decide(): void {
    this.#stage = Stage.Deciding;
    this.exchange.admit((admitted) => {
      if (this.#stage !== Stage.Deciding) return;
      if (admitted) this.#attempt();
      else this.#refuseNow();
    });
  }

  #attempt(): void {
    this.#stage = Stage.Connecting;
    this.#side = undefined;
    const target = this.exchange.next();
    if (target === undefined) this.#refuseNow();
    else this.#connect(target);
  }

  #connect(target: Target): void {
    const address = target.address();
    if (address === undefined) {
      void target.resolve().then((found) => {
        if (this.#stage !== Stage.Connecting || this.exchange.target !== target) return;
        if (found) return this.#connect(target);
        this.exchange.attemptFailed(503, 'unresolved');
        this.#attempt();
      });
      return;
    }
    const { upstream, ends, request } = this.exchange;
    const preface =
      target.proxyProtocol &&
      proxyHeader(
        target.proxyProtocol,
        { address: ends.clientAddress, port: request.clientPort },
        { address: ends.serverAddress, port: ends.serverPort },
      );
    upstream!.timeouts.connect.arm(this);
    this.#side = new TargetSide(this);
    this.#side.transport = target.connect(address, this.#side, preface);
  }

  // What the Target does.

  onTargetConnected(side: TargetSide): void {
    if (side !== this.#side || this.#stage !== Stage.Connecting) return side.letGo();
    this.exchange.connected();
    this.#stage = Stage.Open;
    this.#idle = deadlinesOf(this.exchange.upstream!.idleTimeout ?? IDLE_MS);
    this.#idle.arm(this);
    const early = this.#early;
    this.#early = undefined;
    const congested =
      early !== undefined && output.relay(side.transport, early, 0, this.#earlyLength) === CONGESTED;
    if (this.#clientEnded) side.transport.end();
    else if (!congested) this.#client.resume();
  }

  onTargetData(bytes: Buffer, start: number, end: number): void {
    if (this.#stage !== Stage.Open) return;
    this.#idle.arm(this);
    this.exchange.bytesOut += end - start;
    if (output.relay(this.#client, bytes, start, end) === CONGESTED) this.#side!.transport.pause();
  }

  onTargetEnd(): void {
    if (this.#stage === Stage.Open) this.#client.end();
  }

  onTargetDrain(): void {
    if (this.#stage !== Stage.Open) return;
    this.#idle.arm(this);
    this.#client.resume();
  }

  onTargetClose(side: TargetSide, error: Error | undefined): void {
    if (side !== this.#side) return;
    if (this.#stage === Stage.Connecting) {
      disarm(this);
      this.exchange.attemptFailed(502, side.secure ? 'tls_failed' : 'connect_failed');
      this.#attempt();
    } else if (this.#stage === Stage.Open) {
      if (error !== undefined) {
        this.exchange.reason ||= 'target_reset';
        this.#client.reset();
        this.#close(true);
      } else if (this.#clientClosed) this.#close();
    }
  }

  // The end.

  #refuse(status: number, reason: string): void {
    this.exchange.refuse(status, reason);
    this.#refuseNow();
  }

  #refuseNow(): void {
    this.#close(true);
  }

  /** Nothing more passes. What is on its way to the client gets there, unless this is `abrupt`. */
  #close(abrupt = false): void {
    if (this.#stage === Stage.Closed) return;
    disarm(this);
    this.#side?.letGo();
    this.#early = undefined;
    if (this.#stage !== Stage.Closing) this.exchange.end();
    if (this.#clientClosed) {
      this.#stage = Stage.Closed;
      this.#host.onStreamClosed(this);
    } else if (this.#stage !== Stage.Closing) {
      this.#stage = Stage.Closing;
      if (abrupt) return this.#client.destroy();
      this.#client.end();
      this.#client.resume();
      LINGER.arm(this);
    } else if (abrupt) this.#client.destroy();
  }
}

/** The other connection of a TcpStream: one attempt, and all that follows when it succeeds. */
class TargetSide implements TransportOwner {
  readonly #stream: TcpStream;
  transport!: Transport;
  closed = false;
  #open = true;

  constructor(stream: TcpStream) {
    this.#stream = stream;
  }

  /** It speaks TLS, so that its failure may be one of the handshake. */
  get secure(): boolean {
    return this.#stream.exchange.upstream?.scheme === 'https';
  }

  letGo(): void {
    this.#open = false;
    this.transport.destroy();
  }

  onConnected(): void {
    if (this.#open) this.#stream.onTargetConnected(this);
  }

  onData(bytes: Buffer, start: number, end: number): void {
    if (this.#open) this.#stream.onTargetData(bytes, start, end);
  }

  onEnd(): void {
    if (this.#open) this.#stream.onTargetEnd();
  }

  onDrain(): void {
    if (this.#open) this.#stream.onTargetDrain();
  }

  onClose(error: Error | undefined): void {
    this.closed = true;
    if (this.#open) this.#stream.onTargetClose(this, error);
  }
}
