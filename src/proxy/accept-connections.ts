import type net from 'node:net';
import { type ListenOptions, listen, listenRaw, type SocketTransport } from '../http/socket-transport.ts';
import type { TransportOwner } from '../http/transport.ts';
import type { Logger } from '../plugin/kit.ts';
import type { TlsAcceptor } from '../tls/tls-acceptor.ts';

/** Who takes connections, and which. */
export interface Accepting {
  readonly log: Logger;
  /** Begins TLS with each connection, and takes it when it is secure; undefined on plain Listeners. */
  readonly acceptor: TlsAcceptor | undefined;
  /** Whether one more connection may come from there. */
  enter(address: string): boolean;
  /** Takes a plain connection. */
  take(makeTransport: (owner: TransportOwner) => SocketTransport): void;
}

/** Owns a connection that is closed at once. */
const NOBODY: TransportOwner = {
  onConnected() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};

/** Accepts connections on an address; resolves when it does. `servers` has the server from the beginning. */
export function acceptConnections(
  options: ListenOptions,
  { log, acceptor, enter, take }: Accepting,
  servers: net.Server[],
): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server =
      acceptor === undefined
        ? listen(options, (makeTransport, address) => {
            if (enter(address)) take(makeTransport);
            else makeTransport(NOBODY).destroy();
          })
        : listenRaw(options, (socket, peer) => {
            if (enter(peer?.address ?? socket.remoteAddress ?? '')) acceptor.accept(socket, peer);
            else socket.destroy();
          });
    servers.push(server);
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      server.on('error', (error) => log.error('listener failed', { error: error.message }));
      resolve(server);
    });
  });
}
