// A server for tests that can go away and come back at the same place.

import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Scope } from './echo-upstream.ts';

export class RestServer {
  readonly #listener: http.RequestListener;
  readonly #tls: https.ServerOptions | undefined;
  #server: http.Server | undefined;
  readonly #sockets = new Set<Socket>();
  port = 0;
  /** Requests so far, and connections. */
  asked = 0;
  connections = 0;

  constructor(scope: Scope, listener: http.RequestListener, tls?: https.ServerOptions) {
    this.#listener = listener;
    this.#tls = tls;
    scope.after(() => this.close());
  }

  get origin(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  async open(): Promise<void> {
    const server = this.#tls === undefined ? http.createServer() : https.createServer(this.#tls);
    server.on('request', (request, response) => {
      this.asked++;
      this.#listener(request, response);
    });
    server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Everything under way breaks. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      // Also those whose handshake is not over, which closeAllConnections doesn't know.
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}
