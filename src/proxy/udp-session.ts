import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type Deadlines, deadlinesOf, disarm, type Waiting } from '../lib/deadlines.ts';
import { beginEvent } from '../lib/event-clock.ts';
import { StreamExchange, type StreamHost } from './stream-exchange.ts';
import type { StreamEnds } from './stream-router.ts';
import type { Target } from './upstream.ts';

/** A session without `timeout` that is silent for so long has ended; UDP itself knows no end. */
const IDLE_MS = 60_000;
/** A refused client is forgotten soon, so that it keeps no place from others, yet not with each datagram, which would fill the log. */
const REFUSED = deadlinesOf(1_000);
/** Datagrams kept while the way is being found out. */
const MAX_WAITING = 16;
/** Bytes on their way to the Target that the system has not taken yet; what comes then is dropped. */
const MAX_QUEUED_BYTES = 256 * 1024;

export interface UdpSessionOptions {
  readonly host: StreamHost;
  readonly clientPort: number;
  readonly ends: StreamEnds;
  /** Sends a datagram to the client. */
  answer(datagram: Buffer): void;
  onEnd(): void;
}

/** The datagrams of one client, and a socket of its own to a Target, by which answers find back. */
export class UdpSession implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly #options: UdpSessionOptions;
  readonly exchange: StreamExchange;
  #socket: dgram.Socket | undefined;
  #connected = false;
  #waiting: Buffer[] = [];
  #idle: Deadlines = deadlinesOf(IDLE_MS);
  /** The client's last datagram has not been answered yet. */
  #answerDue = false;
  #draining = false;

  constructor(options: UdpSessionOptions) {
    this.#options = options;
    this.exchange = new StreamExchange(options.host, 'udp', options.clientPort, options.ends);
  }

  /** Finds the way. */
  start(): void {
    this.#idle.arm(this);
    this.exchange.admit((admitted) => {
      if (this.exchange.ended) return;
      const { upstream } = this.exchange;
      if (!admitted) return this.#refused();
      if (upstream!.scheme === 'https') {
        this.exchange.refuse(502, 'no_tls_on_udp');
        return this.#refused();
      }
      this.#idle = deadlinesOf(upstream!.idleTimeout ?? IDLE_MS);
      this.#idle.arm(this);
      this.#attempt();
    });
  }

  /** Takes a datagram of the client's. */
  send(datagram: Buffer): void {
    const { exchange } = this;
    exchange.bytesIn += datagram.length;
    // Refused.
    if (exchange.status !== 0 && exchange.status !== 200) return;
    this.#idle.arm(this);
    this.#answerDue = true;
    if (this.#connected) this.#pass(datagram);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(datagram);
  }

  onDeadline(): void {
    this.end('');
  }

  /** Ends as soon as no answer is due. */
  drain(): void {
    this.#draining = true;
    if (!this.#answerDue) this.end('drained');
  }

  end(reason: string): void {
    const { exchange } = this;
    if (exchange.ended) return;
    disarm(this);
    exchange.reason ||= reason;
    this.#socket?.close();
    this.#socket = undefined;
    this.#connected = false;
    exchange.end();
    this.#options.onEnd();
  }

  #pass(datagram: Buffer): void {
    const socket = this.#socket!;
    if (socket.getSendQueueSize() <= MAX_QUEUED_BYTES) socket.send(datagram);
  }

  #attempt(): void {
    const target = this.exchange.next();
    if (target !== undefined) this.#connect(target);
    else this.#refused();
  }

  #refused(): void {
    this.#waiting = [];
    this.#answerDue = false;
    REFUSED.arm(this);
  }

  #connect(target: Target): void {
    const address = target.address();
    if (address === undefined) {
      void target.resolve().then((found) => {
        if (this.exchange.ended || this.exchange.target !== target) return;
        if (found) return this.#connect(target);
        this.exchange.attemptFailed(503, 'unresolved');
        this.#attempt();
      });
      return;
    }
    const socket = dgram.createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    this.#socket = socket;
    socket.on('error', () => this.#onError(socket));
    socket.on('message', (datagram) => this.#onAnswer(datagram));
    // Connected, so that nobody but the Target can answer, and that its absence is heard of.
    socket.connect(target.port, address, (...[error]: unknown[]) => {
      if (error !== undefined && error !== null) return this.#onError(socket);
      beginEvent();
      if (this.#socket !== socket) return;
      this.exchange.connected();
      this.#connected = true;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const datagram of waiting) this.#pass(datagram);
    });
  }

  #onAnswer(datagram: Buffer): void {
    beginEvent();
    this.#idle.arm(this);
    this.#answerDue = false;
    this.exchange.bytesOut += datagram.length;
    this.#options.answer(datagram);
    if (this.#draining) this.end('drained');
  }

  /** Mostly ECONNREFUSED: nobody listens there. The client's next datagram begins a new session, and finds another Target. */
  #onError(socket: dgram.Socket): void {
    beginEvent();
    if (this.#socket !== socket) return;
    this.exchange.attemptFailed(502, 'target_refused');
    this.end('');
  }
}
