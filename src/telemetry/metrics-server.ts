// The HTTP server that Prometheus asks.

import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EXPOSITION_CONTENT_TYPE } from './prometheus.ts';

export interface MetricsServerOptions {
  readonly address: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly path: string;
  readonly exposition: () => Iterable<Buffer>;
}

export interface ListeningAddress {
  readonly address: string;
  readonly port: number;
}

export class MetricsServer {
  readonly #server: Server;

  /** Rejects with the system's error when it can't listen. */
  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    // Imported here, so that a gateway without metrics doesn't pay for it.
    const { createServer } = await import('node:http');
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      answer(options, request, response).catch(() => response.destroy());
    });
    server.maxConnections = 64;
    server.listen(options.port, options.address);
    await once(server, 'listening');
    return new MetricsServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get listeningAddress(): ListeningAddress {
    const { address, port } = this.#server.address() as AddressInfo;
    return { address, port };
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(
  { path, exposition }: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.url?.split('?', 1)[0] !== path) {
    response.writeHead(404).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  response.writeHead(200, { 'content-type': EXPOSITION_CONTENT_TYPE });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  for (const chunk of exposition()) {
    if (response.destroyed) return;
    // One that reads slowly gets the next piece when it has room; either way records come first.
    if (response.write(chunk)) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}
