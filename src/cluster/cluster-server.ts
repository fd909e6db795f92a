// The control plane's side: data planes connect, show a certificate of the cluster's authority, and
// ask. Nothing else is answered here, and nothing can be changed from here.

import { constants } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { placeToListen } from '../lib/descriptor.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Logger } from '../plugin/kit.ts';
import { type CertificateFiles, readCertificates } from './certificate-files.ts';
import type { ChangeHistory } from './change-history.ts';
import type { DataPlanes, Peer } from './data-planes.ts';
import { readSyncRequest, SYNC_PATH, type SyncAnswer, type SyncRequest } from './sync-messages.ts';

export interface ClusterServerOptions {
  readonly host: string;
  readonly port: number;
  /** A socket that listens there already. */
  readonly fd?: number | undefined;
  readonly certificates: CertificateFiles;
  readonly snapshot: Snapshot;
  readonly history: ChangeHistory;
  readonly dataPlanes: DataPlanes;
  /** Takes what others have written to a Store that is shared; rejects when that can't be known. */
  refresh(): Promise<void>;
  readonly log: Pick<Logger, 'warn' | 'info'>;
}

const LARGEST_REQUEST = 64 * 1024;
const MOST_CONNECTIONS = 10_000;
/** Then a data plane connects anew, and its certificate is looked at again: after 40 minutes without news. */
const REQUESTS_PER_CONNECTION = 100;

export class ClusterServer {
  readonly #options: ClusterServerOptions;
  readonly #server: Server;
  readonly #closing = new AbortController();

  /** Rejects with what to do when it can't listen, or the certificates are no good. */
  static async listen(options: ClusterServerOptions): Promise<ClusterServer> {
    const server = new ClusterServer(options);
    server.#server.listen(placeToListen(options, options.fd));
    await once(server.#server, 'listening').catch((error: Error) => {
      throw new Error(
        `data planes can't be listened for on ${options.host}:${options.port}: ${error.message}`,
      );
    });
    return server;
  }

  private constructor(options: ClusterServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        ...secureContext(options.certificates),
        requestCert: true,
        rejectUnauthorized: true,
        requestTimeout: 30_000,
        headersTimeout: 10_000,
        keepAliveTimeout: 30_000,
      },
      (request, response) => void this.#handle(request, response),
    );
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
    this.#server.on('tlsClientError', (error, socket) => {
      options.log.warn('a connection to the cluster was refused', {
        address: socket.remoteAddress,
        reason: error.message,
      });
    });
  }

  /** What listens. */
  get server(): Server {
    return this.#server;
  }

  /** `host:port`, with the port that was chosen for 0. */
  get at(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Goes on with the files as they are now, if they are any good; connections that stand stay. */
  reloadCertificates(): void {
    const { certificates, log } = this.#options;
    try {
      this.#server.setSecureContext(secureContext(certificates));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn(`the certificates of the cluster stay as they were: ${reason}`);
    }
  }

  /** Lets everyone who waits go, so that they turn to another control plane. */
  async close(): Promise<void> {
    this.#closing.abort();
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      if (request.method !== 'POST' || request.url !== SYNC_PATH) return send(response, 404, 'not found');
      const body = await readBody(request);
      if (body === undefined) return send(response, 413, 'the request is too large');
      let sync: SyncRequest;
      try {
        sync = readSyncRequest(body);
      } catch (error) {
        return send(response, 400, error instanceof Error ? error.message : String(error));
      }
      const answered = this.#options.dataPlanes.report(sync, peerOf(request));
      try {
        await this.#answer(sync, response, AbortSignal.any([gone.signal, this.#closing.signal]));
      } finally {
        answered();
      }
    } catch {
      // The data plane is gone, and asks again.
      response.destroy();
    }
  }

  async #answer(sync: SyncRequest, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const { history } = this.#options;
    if (sync.revision > history.revision) {
      // It may have learnt it from another control plane: going back to an older revision would be worse than waiting.
      try {
        await this.#options.refresh();
      } catch {
        return send(response, 503, 'this control plane is behind, and its store is away');
      }
    }
    const end = performance.now() + sync.wait_ms;
    while (!signal.aborted) {
      const answer = this.#newsFor(sync);
      if (answer !== undefined) {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify(answer));
        return;
      }
      if (!(await history.moved(Math.max(0, end - performance.now()), signal))) break;
    }
    if (!response.destroyed) response.writeHead(signal.aborted ? 503 : 204).end();
  }

  #newsFor({ revision, digest, refused }: SyncRequest): SyncAnswer | undefined {
    const { history, snapshot } = this.#options;
    const present = { revision: history.revision, digest: history.digest };
    const isAt = (state: { readonly revision: number; readonly digest: string }) =>
      state.revision === present.revision && state.digest === present.digest;
    if (isAt({ revision, digest }) || (refused !== undefined && isAt(refused))) return undefined;
    const changes = history.since(revision, digest);
    return changes === undefined ? { ...present, resources: snapshot.all() } : { ...present, changes };
  }
}

function secureContext(certificates: CertificateFiles) {
  // Without tickets nobody resumes a session that was begun under certificates of before.
  const secureOptions = constants.SSL_OP_NO_TICKET;
  return { ...readCertificates(certificates), minVersion: 'TLSv1.3', secureOptions } as const;
}

function peerOf(request: IncomingMessage): Peer {
  const socket = request.socket as TLSSocket;
  const name = socket.getPeerCertificate().subject?.CN;
  return {
    address: socket.remoteAddress ?? '',
    certificate: Array.isArray(name) ? name.join(', ') : (name ?? ''),
  };
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  let text = '';
  request.setEncoding('utf8');
  for await (const part of request) {
    text += part;
    if (text.length > LARGEST_REQUEST) return undefined;
  }
  return text;
}

function send(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`${message}\n`);
}
