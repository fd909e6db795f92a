// An address of its own for what orchestrators ask. Without it, the metrics' address answers them.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { placeToListen } from '../lib/descriptor.ts';
import type { Address } from '../model/listen-address.ts';
import { type Readiness, statusAnswer } from '../telemetry/status-answer.ts';
import { type HandedSocket, handedSocket, leave, type Predecessor, socketName } from './predecessor.ts';

export interface StatusServer {
  /** `host:port`, with the port that was chosen for 0. */
  readonly at: string;
  readonly socket: HandedSocket;
  /** Accepts no more; who is connected is answered. */
  leave(): void;
  close(): void;
}

/** Rejects with what to do when it can't listen. */
export function startStatusServer(
  { host, port }: Address,
  readiness: () => Readiness,
  predecessor: Predecessor,
): Promise<StatusServer> {
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
    const answer = statusAnswer(request.url?.split('?', 1)[0] ?? '', readiness());
    if (answer === undefined) response.writeHead(404).end();
    else if (request.method !== 'GET' && request.method !== 'HEAD')
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
    else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  server.maxConnections = 64;
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new Error(
          error.code === 'EADDRINUSE'
            ? `the status address ${host}:${port} is in use by another program; choose another as status.address`
            : `can't answer about the status on ${host}:${port}: ${error.message}`,
        ),
      ),
    );
    const name = socketName('status', { host, port });
    server.listen(placeToListen({ host, port }, predecessor.take(name)?.fds[0]), () => {
      const { port: chosen, address, family } = server.address() as AddressInfo;
      resolve({
        socket: handedSocket(name, server),
        at: `${family === 'IPv6' ? `[${address}]` : address}:${chosen}`,
        leave: () => leave(server),
        close() {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}
