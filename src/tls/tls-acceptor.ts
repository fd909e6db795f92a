// From an accepted connection to a TLS one. The ClientHello is read before node:tls sees it, so that
// each name has a context of its own: with its versions, its session tickets and its question for a
// client's certificate, which nobody else is asked. Switching contexts in an SNI callback would
// leave all of that as it is for the first.

import type net from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { Peer } from '../http/first-stage.ts';
import { type Deadlines, disarm } from '../lib/deadlines.ts';
import { CHALLENGE_PROTOCOL, type Challenge } from '../model/tls-material.ts';
import type { Logger } from '../plugin/kit.ts';
import type { Hello } from './client-hello.ts';
import { Handshake, type HandshakeOwner } from './handshake.ts';
import { HandshakeLog } from './handshake-log.ts';
import type { ServerCertificates } from './server-certificates.ts';
import type { ServerIdentity } from './server-identity.ts';
import { TlsSession } from './tls-session.ts';

export interface TlsAcceptorOptions {
  readonly certificates: ServerCertificates;
  /** ALPN, the most wanted first; empty when it isn't ours to say. */
  readonly protocols: readonly string[];
  /** How long a handshake may take as a whole. */
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly figures: HandshakeFigures;
  /** Whether `skip_mtls_uri_regex` can be heeded: without requests, everybody has to prove it. */
  readonly hasRequests: boolean;
  /** The handshake is complete, and the client has proved what it had to. */
  onSecure(socket: TLSSocket, session: TlsSession, peer: Peer): void;
  /** A connection that was accepted ended without ever being secure. */
  onLost(peer: Peer): void;
}

/** Counted for the metrics. */
export interface HandshakeFigures {
  completed: number;
  resumed: number;
  failed: number;
}

interface Server {
  readonly server: tls.Server;
  ticketKeys: Uint8Array;
}
/** The connection that a TLS socket was made of: what Node has under this name since long, and nowhere else. */
interface Wrapping {
  readonly _parent: net.Socket;
}

/** RFC 6066 3. */
const UNRECOGNIZED_NAME = 112;
/** Deadlines of our own are stricter than Node's, which count from the last byte; its greatest is no limit. */
const NO_TIMEOUT = 2 ** 31 - 1;

export class TlsAcceptor implements HandshakeOwner {
  readonly #options: TlsAcceptorOptions;
  readonly #log: HandshakeLog;
  readonly #servers = new WeakMap<ServerIdentity, Server>();
  readonly #handshakes = new Map<net.Socket, Handshake>();

  constructor(options: TlsAcceptorOptions) {
    this.#options = options;
    this.#log = new HandshakeLog(options.log);
  }

  /** Begins a handshake. What was read of the connection already must have been put back (`unshift`). */
  accept(socket: net.Socket, said?: Peer): void {
    const peer = said ?? { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const handshake = new Handshake(socket, peer, this);
    this.#handshakes.set(socket, handshake);
    this.#options.deadlines.arm(handshake);
    // Why Node closed it is heard a little later.
    socket.once('close', () => setImmediate(() => this.onFailure(handshake, 'the client went away')));
  }

  /** Ends the handshakes under way. */
  close(): void {
    for (const socket of [...this.#handshakes.keys()]) socket.destroy();
  }

  // For its handshakes.

  onHello(handshake: Handshake, { serverName, protocols }: Hello): void {
    const { certificates } = this.#options;
    if (protocols.length === 1 && protocols[0] === CHALLENGE_PROTOCOL) {
      const challenge = certificates.challenge(serverName);
      if (challenge === undefined) handshake.refuse('no challenge for this name', UNRECOGNIZED_NAME);
      else this.#challengeServer(challenge).emit('connection', handshake.socket);
      return;
    }
    const identity = certificates.find(serverName);
    if (identity !== undefined) {
      handshake.identity = identity;
      this.#serverOf(identity).emit('connection', handshake.socket);
    } else if (serverName === undefined) handshake.refuse('the client names nobody', UNRECOGNIZED_NAME);
    else handshake.refuse('no SSL for this name', UNRECOGNIZED_NAME);
  }

  onFailure({ socket, peer, serverName, began }: Handshake, reason: string): void {
    if (!this.#forget(socket)) return;
    this.#options.onLost(peer);
    // Who looks whether the port is open, as balancers do all day, wants no handshake.
    if (!began) return;
    this.#options.figures.failed++;
    this.#log.failed(reason, { client: peer.address, sni: serverName });
  }

  /** Whether it was still under way. */
  #forget(socket: net.Socket): boolean {
    const handshake = this.#handshakes.get(socket);
    if (handshake === undefined) return false;
    disarm(handshake);
    return this.#handshakes.delete(socket);
  }

  /** It never listens: it is given connections whose ClientHello chose it. */
  #serverOf(identity: ServerIdentity): tls.Server {
    const { certificates, protocols } = this.#options;
    const { ticketKeys } = certificates;
    const known = this.#servers.get(identity);
    if (known !== undefined) {
      if (known.ticketKeys !== ticketKeys) known.server.setTicketKeys(Buffer.from(ticketKeys));
      known.ticketKeys = ticketKeys;
      return known.server;
    }
    const { clients } = identity;
    const server = tls.createServer({
      ...identity.options,
      requestCert: clients !== undefined,
      // With exceptions by path, who has no certificate is let in and answered by request.
      rejectUnauthorized: this.#mustProve(identity),
      ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
      ticketKeys: Buffer.from(ticketKeys),
      handshakeTimeout: NO_TIMEOUT,
    });
    server.on('secureConnection', (socket) => this.#onSecure(socket));
    server.on('tlsClientError', (error, socket) => this.#onError(error, socket));
    this.#servers.set(identity, { server, ticketKeys });
    return server;
  }

  /** Shows the certificate authority what it wants to see, and says no more (RFC 8737 3). */
  #challengeServer({ cert, key }: Extract<Challenge, { type: 'tls-alpn-01' }>): tls.Server {
    const server = tls.createServer({ cert, key, ca: [], ALPNProtocols: [CHALLENGE_PROTOCOL] });
    server.on('secureConnection', (socket) => {
      const connection = (socket as TLSSocket & Wrapping)._parent;
      const handshake = this.#handshakes.get(connection);
      if (handshake !== undefined) this.#options.onLost(handshake.peer);
      this.#forget(connection);
      socket.on('error', () => {});
      socket.end();
    });
    server.on('tlsClientError', (error, socket) => this.#onError(error, socket));
    return server;
  }

  #onSecure(socket: TLSSocket): void {
    const { certificates, figures, onSecure } = this.#options;
    const connection = (socket as TLSSocket & Wrapping)._parent;
    const handshake = this.#handshakes.get(connection);
    if (handshake?.identity === undefined) {
      socket.destroy(); // too late
      return;
    }
    const { identity, serverName } = handshake;
    const session = new TlsSession(socket, serverName, identity, certificates);
    if (this.#mustProve(identity) && !session.verified) {
      this.onFailure(handshake, `client certificate: ${session.verify}`);
      socket.destroy();
      return;
    }
    this.#forget(connection);
    figures.completed++;
    if (session.reused) figures.resumed++;
    onSecure(socket, session, handshake.peer);
  }

  #mustProve({ clients }: ServerIdentity): boolean {
    return clients !== undefined && (clients.skip === undefined || !this.#options.hasRequests);
  }

  #onError(error: Error & { code?: string; reason?: string }, socket: TLSSocket): void {
    const handshake = this.#handshakes.get((socket as TLSSocket & Wrapping)._parent);
    const proof = socket.authorizationError;
    const refused = proof ? `client certificate: ${String(proof)}` : undefined;
    const reason = refused ?? error.reason ?? error.code ?? error.message;
    if (handshake !== undefined) this.onFailure(handshake, reason);
    socket.destroy();
  }
}
