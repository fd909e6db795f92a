import type net from 'node:net';
import type { Peer } from '../http/first-stage.ts';
import type { Deadlines, Waiting } from '../lib/deadlines.ts';
import { CLIENT_HELLO_MAX, type Hello, readClientHello } from './client-hello.ts';
import type { ServerIdentity } from './server-identity.ts';

/** Decides what becomes of a handshake. */
export interface HandshakeOwner {
  /** The hello is there, and put back for whoever goes on. */
  onHello(handshake: Handshake, hello: Hello): void;
  /** It failed; the connection is closed by whoever says so. */
  onFailure(handshake: Handshake, reason: string): void;
}

const DECODE_ERROR = 50;
/** What nginx tells someone who speaks HTTP to a port of TLS. */
const PLAIN_HTTP = 'The plain HTTP request was sent to HTTPS port\n';
const HTTP_ANSWER = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${PLAIN_HTTP.length}\r\nConnection: close\r\n\r\n${PLAIN_HTTP}`;

/** A TLS connection from its first byte until it is secure. */
export class Handshake implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;

  readonly socket: net.Socket;
  readonly peer: Peer;
  serverName: string | undefined;
  /** Who answers, once the client has said whom it wants. */
  identity: ServerIdentity | undefined;
  /** The client has said something. */
  began = false;
  readonly #owner: HandshakeOwner;
  #bytes: Buffer | undefined;
  /** Not worth looking into fewer bytes. */
  #needed = 1;

  constructor(socket: net.Socket, peer: Peer, owner: HandshakeOwner) {
    this.socket = socket;
    this.peer = peer;
    this.#owner = owner;
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', ignore);
    socket.resume();
  }

  /** Says why with an alert (RFC 8446 6), and closes. */
  refuse(reason: string, alert: number): void {
    this.#close(reason, Buffer.from([21, 3, 3, 0, 2, 2, alert]));
  }

  onDeadline(): void {
    this.#owner.onFailure(this, 'timeout');
    this.socket.destroy();
  }

  readonly #onData = (piece: Buffer): void => {
    const { socket } = this;
    const bytes = this.#bytes === undefined ? piece : Buffer.concat([this.#bytes, piece]);
    this.#bytes = bytes;
    this.began = true;
    if (bytes.length < this.#needed) return;
    const hello = readClientHello(bytes);
    switch (hello.kind) {
      case 'more':
        this.#needed = hello.needed;
        if (bytes.length > CLIENT_HELLO_MAX) this.refuse('malformed hello', DECODE_ERROR);
        return;
      case 'malformed':
        return this.refuse('malformed hello', DECODE_ERROR);
      case 'other':
        return this.#close('no TLS', /^[A-Z]{3}/.test(bytes.latin1Slice(0, 3)) ? HTTP_ANSWER : '');
      case 'hello':
        this.serverName = hello.serverName;
        this.#stopReading();
        socket.unshift(bytes);
        this.#bytes = undefined;
        this.#owner.onHello(this, hello);
    }
  };

  readonly #onEnd = (): void => {
    this.#owner.onFailure(this, 'the client went away');
    this.socket.destroy();
  };

  #stopReading(): void {
    this.socket.off('data', this.#onData);
    this.socket.off('end', this.#onEnd);
    this.socket.pause();
  }

  #close(reason: string, last: Buffer | string): void {
    const { socket } = this;
    this.#owner.onFailure(this, reason);
    this.#stopReading();
    // What the client still sends is read and thrown away: closing over it would reset the
    // connection, and our last word with it.
    socket.resume();
    socket.end(last, () => setTimeout(() => socket.destroy(), LINGER_MS).unref());
    socket.once('end', () => socket.destroy());
  }
}

const LINGER_MS = 1_000;

function ignore(): void {}
