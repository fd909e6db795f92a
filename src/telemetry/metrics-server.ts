// The HTTP server that Prometheus asks.

import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import {
  type AddressInfo,
  createServer as createNetServer,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import { descriptorOf, placeToListen } from '../lib/descriptor.ts';
import { EXPOSITION_CONTENT_TYPE } from './prometheus.ts';
import type { StatusAnswer } from './status-answer.ts';

const MOST_CONNECTIONS = 64;
const IDLE_MS = 10_000;

export interface MetricsServerOptions {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
  /** A socket that listens there already. */
  readonly fd?: number | undefined;
  readonly path: string;
  /** Answers to other paths, where it has any. */
  readonly answer?: (path: string) => StatusAnswer | undefined;
  readonly exposition: () => Iterable<Buffer>;
}

export interface ListeningAddress {
  readonly address: string;
  readonly port: number;
  readonly fd: number | undefined;
}

/**
 * Listens on a plain socket and loads node:http for the first connection only: it is some 12 MB that
 * a gateway nobody scrapes needn't hold.
 */
export class MetricsServer {
  readonly #listener: NetServer;
  readonly #options: MetricsServerOptions;
  readonly #sockets = new Set<Socket>();
  #server: Promise<Server> | undefined;

  /** Rejects with the system's error when it can't listen. */
  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    const server = new MetricsServer(options);
    const { address: host, port, fd } = options;
    server.#listener.listen(placeToListen({ host, port }, fd));
    await once(server.#listener, 'listening');
    return server;
  }

  private constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#listener = createNetServer({ pauseOnConnect: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // Until node:http has it, a connection that breaks must not break more than itself.
      socket.once('error', () => socket.destroy());
      this.#server ??= createHttpServer(this.#options);
      this.#server.then((server) => {
        server.emit('connection', socket);
        socket.resume();
      });
    });
    this.#listener.maxConnections = MOST_CONNECTIONS;
  }

  get listeningAddress(): ListeningAddress {
    const { address, port } = this.#listener.address() as AddressInfo;
    return { address, port, fd: descriptorOf(this.#listener) };
  }

  /** Accepts no more; who is connected goes on. */
  leave(): void {
    this.#listener.close();
  }

  close(): void {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function createHttpServer(options: MetricsServerOptions): Promise<Server> {
  const { createServer } = await import('node:http');
  const server = createServer((request, response) => {
    answer(options, request, response).catch(() => response.destroy());
  });
  // The other limits in time belong to a server that listens itself.
  server.setTimeout(IDLE_MS);
  return server;
}

async function answer(
  { path, answer, exposition }: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const asked = request.url?.split('?', 1)[0] ?? '';
  const other = asked === path ? undefined : answer?.(asked);
  if (asked !== path && other === undefined) {
    response.writeHead(404).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  if (other !== undefined) {
    response.writeHead(other.status, { 'content-type': 'application/json' }).end(other.body);
    return;
  }
  response.writeHead(200, { 'content-type': EXPOSITION_CONTENT_TYPE });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  let goOn = () => {};
  response.on('drain', () => goOn());
  response.on('close', () => goOn());
  for (const chunk of exposition()) {
    if (response.destroyed) return;
    await new Promise<void>((resolve) => {
      goOn = resolve;
      // One that reads slowly gets the next piece when it has room; either way records come first.
      if (response.write(chunk)) setImmediate(resolve);
    });
  }
  response.end();
}
