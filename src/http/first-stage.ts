import type net from 'node:net';

/** The client for whom a connection speaks. */
export interface Peer {
  readonly address: string;
  readonly port: number;
}

/**
 * Looks at an accepted connection, whose reading has not begun, before anything else does. It leaves
 * what it doesn't take in the socket, as `unshift` does, with reading stopped, and calls `then` once
 * outside of the socket's own callbacks; or it destroys the socket and doesn't.
 */
export type FirstStage = (socket: net.Socket, then: (peer: Peer) => void) => void;
