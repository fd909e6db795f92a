// The transport over node:net. Reading goes into one buffer shared by all sockets of the thread
// (`onread`), which saves an allocation and a stream event per read: 3.4 us of 20 per request.
// On the accepting side Node offers no onread option, so the accepted handle moves to a socket of
// our own. Where that isn't possible (a self-test at start says so), 'data' events do.

import net from 'node:net';
import type tls from 'node:tls';
import { beginEvent } from '../lib/event-clock.ts';
import type { TlsSession } from '../tls/tls-session.ts';
import type { FirstStage, Peer } from './first-stage.ts';
import { poison, poisoning } from './poison.ts';
import {
  CONGESTED,
  PENDING,
  type Transport,
  type TransportOwner,
  WRITTEN,
  type WriteResult,
} from './transport.ts';

/** Read buffer of all sockets of this thread. */
const SHARED = Buffer.allocUnsafeSlow(64 * 1024);

/** What sockets have beyond their documented interface. */
interface Handle {
  reading: boolean;
  readStart(): number;
  readStop(): number;
  /** Bytes of the write under way that the system has not taken yet. */
  readonly writeQueueSize: number;
}
interface Owned {
  _handle: Handle | null;
  transport: SocketTransport;
}

function onRead(this: net.Socket & Owned, length: number, buffer: Uint8Array): boolean {
  beginEvent();
  this.transport.owner.onData(buffer as Buffer, 0, length);
  if (poisoning) poison(buffer, 0, length);
  return true;
}
function onData(this: net.Socket & Owned, bytes: Buffer): void {
  beginEvent();
  this.transport.owner.onData(bytes, 0, bytes.length);
  if (poisoning) poison(bytes, 0, bytes.length);
}
function onConnect(this: net.Socket & Owned): void {
  beginEvent();
  this.transport.owner.onConnected();
}
function onEnd(this: net.Socket & Owned): void {
  // After an alert of TLS, the close that follows says why it ended.
  if (this.transport.error !== undefined) return;
  beginEvent();
  this.transport.owner.onEnd();
}
function onDrain(this: net.Socket & Owned): void {
  beginEvent();
  this.transport.owner.onDrain();
}
function onError(this: net.Socket & Owned, error: Error): void {
  this.transport.error = error;
  // An alert of TLS comes without an end of the socket, which may wait for ever for its own to be read.
  this.destroy();
}
function onClose(this: net.Socket & Owned): void {
  beginEvent();
  this.transport.closed = true;
  this.transport.owner.onClose(this.transport.error);
}

export class SocketTransport implements Transport {
  readonly #socket: net.Socket & Owned;
  owner: TransportOwner;
  error: Error | undefined;
  closed = false;
  /** Reads come through onRead; pausing then works on the handle. */
  readonly #shared: boolean;
  readonly #encrypted: boolean;
  #paused = false;
  #unbegun = false;
  #localPort: number | undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly tls: TlsSession | null;

  /** `peer` is who is at the other end of an accepted connection, or for whom a hop says it speaks. */
  constructor(
    socket: net.Socket,
    owner: TransportOwner,
    shared: boolean,
    peer?: Peer,
    session: TlsSession | null = null,
  ) {
    this.tls = session;
    this.#socket = socket as net.Socket & Owned;
    this.#socket.transport = this;
    this.owner = owner;
    this.#shared = shared;
    this.#encrypted = 'encrypted' in socket;
    this.remoteAddress = peer?.address ?? socket.remoteAddress ?? '';
    this.remotePort = peer?.port ?? socket.remotePort ?? 0;
    socket.on('end', onEnd);
    socket.on('drain', onDrain);
    socket.on('error', onError);
    socket.on('close', onClose);
    if (!shared) socket.on('data', onData);
  }

  /** Asked of the system once: it costs a call, and each request wants to know. */
  get localPort(): number {
    this.#localPort ??= this.#socket.localPort ?? 0;
    return this.#localPort;
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  get unsent(): number {
    const { writableLength, _handle: handle } = this.#socket;
    return writableLength === 0 ? 0 : writableLength + (handle?.writeQueueSize ?? 0);
  }

  write(bytes: Buffer, start: number, end: number): WriteResult {
    if (this.closed) return WRITTEN;
    const socket = this.#socket;
    if (this.#encrypted) {
      // What is being encrypted is never done at once. A copy of its own size is cheaper than the
      // large buffer that would have to take the place of one that isn't given back.
      socket.write(Buffer.from(bytes.subarray(start, end)));
      return socket.writableNeedDrain ? CONGESTED : WRITTEN;
    }
    socket.write(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end));
    if (socket.writableLength === 0) return WRITTEN;
    return socket.writableNeedDrain ? CONGESTED : PENDING;
  }

  /** Begins to read; once the owner wants to, if it has paused already. */
  begin(): void {
    if (this.#paused) this.#unbegun = true;
    else this.#socket.resume();
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (!this.#shared) this.#socket.pause();
    else {
      const handle = this.#socket._handle;
      if (handle?.reading) {
        handle.reading = false;
        handle.readStop();
      }
    }
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (!this.#shared || this.#unbegun) {
      this.#unbegun = false;
      this.#socket.resume();
    } else {
      const handle = this.#socket._handle;
      if (handle !== null && !handle.reading && !this.closed) {
        handle.reading = true;
        handle.readStart();
      }
    }
  }

  end(): void {
    // A second end would make Node build an error that nobody looks at.
    if (!this.#socket.writableEnded) this.#socket.end();
  }

  /** Gives the connection to somebody who reads it as a stream; nothing more is heard of it here. */
  detach(): net.Socket {
    const socket = this.#socket;
    socket.off('end', onEnd).off('drain', onDrain).off('error', onError).off('close', onClose);
    this.pause();
    if (!this.#shared) return socket.off('data', onData);
    const handle = socket._handle;
    socket._handle = null;
    return new net.Socket({ handle, pauseOnCreate: true } as unknown as net.SocketConstructorOpts);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    // A TLS peer sees that the end was not announced; Node resets plain TCP only.
    if (this.#encrypted) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}

/** What to listen on. */
export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Several threads or processes listen on the same port and the system spreads connections. */
  readonly reusePort?: boolean;
  /** A socket that listens already, in place of the address. */
  readonly fd?: number | undefined;
  /** Takes what stands in front of a connection's own bytes. */
  readonly firstStage?: FirstStage;
}

/** Accepts sockets, `paused` ones before anything is read; `peer` is who they speak for, where a first stage has found out. */
export function listenRaw(
  { firstStage, host, port, reusePort, fd }: ListenOptions,
  accept: (socket: net.Socket, peer: Peer | undefined) => void,
  paused = firstStage !== undefined,
): net.Server {
  const server = net.createServer(
    { noDelay: true, pauseOnConnect: paused, allowHalfOpen: true },
    (socket) => {
      if (socket.remoteAddress === undefined)
        socket.destroy(); // gone before we got it
      else if (firstStage === undefined) accept(socket, undefined);
      else firstStage(socket, (peer) => accept(socket, peer));
    },
  );
  server.listen({ ...(fd === undefined ? { host, port, reusePort } : { fd }), backlog: 4096 });
  return server;
}

/** Accepts connections; `accept` gives each its owner and gets its transport. */
export function listen(
  options: ListenOptions,
  accept: (makeTransport: (owner: TransportOwner) => SocketTransport, remoteAddress: string) => void,
): net.Server {
  const shared = canMoveHandles();
  const hand = (accepted: net.Socket, said: Peer | undefined): void => {
    // Read while the accepted socket still has its handle; a moved one whose peer has gone couldn't tell.
    const peer = said ?? { address: accepted.remoteAddress ?? '', port: accepted.remotePort ?? 0 };
    // What the stage has read and not taken.
    const early: Buffer | null = shared && said !== undefined ? accepted.read() : null;
    const socket = shared ? moved(accepted) : accepted;
    let transport: SocketTransport | undefined;
    accept((owner) => (transport = new SocketTransport(socket, owner, shared, peer)), peer.address);
    if (early !== null) transport?.owner.onData(early, 0, early.length);
    if (shared || said !== undefined) transport?.begin();
  };
  return listenRaw(options, hand, shared || options.firstStage !== undefined);
}

/** A socket of our own on the handle of an accepted one. */
function moved(accepted: net.Socket): net.Socket {
  const owned = accepted as net.Socket & Owned;
  const handle = owned._handle;
  owned._handle = null;
  return new net.Socket({
    handle,
    allowHalfOpen: true,
    onread: { buffer: SHARED, callback: onRead },
  } as unknown as net.SocketConstructorOpts);
}

let movable: boolean | undefined;

/** Whether this Node lets an accepted handle be moved to a socket with `onread`. */
export function canMoveHandles(): boolean {
  if (movable === undefined) {
    const probe = new net.Socket() as net.Socket & Partial<Owned>;
    movable =
      process.env.SLUICE_TRANSPORT !== 'events' &&
      '_handle' in probe &&
      typeof process.versions.bun === 'undefined';
    probe.destroy();
  }
  return movable;
}

/** What makes a connection a TLS one: options of node:tls, prepared once per Target. */
export type TlsOptions = Pick<
  tls.ConnectionOptions,
  | 'servername'
  | 'ca'
  | 'cert'
  | 'key'
  | 'rejectUnauthorized'
  | 'ALPNProtocols'
  | 'secureContext'
  | 'checkServerIdentity'
>;

/** Connects with TLS. node:tls comes from `useTls`, so that plain proxying doesn't load it. `preface` is sent as it is, before the handshake. */
export function connectTls(
  tlsModule: typeof tls,
  host: string,
  port: number,
  options: TlsOptions,
  owner: TransportOwner,
  preface?: Buffer,
): Transport {
  // @types/node doesn't know that TLS may be half open, too.
  const more = { ...options, allowHalfOpen: true } as tls.ConnectionOptions;
  let socket: tls.TLSSocket;
  if (preface === undefined) socket = tlsModule.connect({ host, port, ...more });
  else {
    const plain = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
    // Written when the connection is made; TLS begins after, since it hears of that later.
    plain.write(preface);
    socket = tlsModule.connect({ socket: plain, ...more });
  }
  socket.setNoDelay(true);
  const transport = new SocketTransport(socket, owner, false);
  socket.on('secureConnect', onConnect);
  return transport;
}

/** Connects; the owner hears onConnected or onClose. `preface` is sent before anything else. */
export function connect(host: string, port: number, owner: TransportOwner, preface?: Buffer): Transport {
  const shared = canMoveHandles();
  const socket = net.connect({
    host,
    port,
    noDelay: true,
    allowHalfOpen: true,
    ...(shared && {
      onread: { buffer: SHARED, callback: onRead as unknown as (n: number, b: Uint8Array) => boolean },
    }),
  });
  if (preface !== undefined) socket.write(preface);
  const transport = new SocketTransport(socket, owner, shared);
  socket.on('connect', onConnect);
  return transport;
}
