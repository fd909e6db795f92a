// For tests of the Admin API: a server with a Store in memory, on a real socket.

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Change } from '../model/change.ts';
import type { Configuration } from '../model/configuration.ts';
import { testConfiguration } from '../model/testing.ts';
import { type AdminServer, type AdminServerOptions, createAdminServer } from './admin-server.ts';

/** The key of APISIX's own examples, so that recorded requests can be sent as they are. */
export const ADMIN_KEY = 'edd1c9f034335f136f87ad84b625c8f1';
export const VIEWER_KEY = '4054f7cf07e344346cd3f287985e76a2';

/** A Store that keeps its Changes in a list, and fails or waits when told to. */
export class MemoryStore {
  readonly written: Change[] = [];
  failure: Error | undefined;
  gate: Promise<void> = Promise.resolve();

  async write(change: Change): Promise<void> {
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    this.written.push(change);
  }
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface RunningAdmin extends AsyncDisposable {
  readonly admin: AdminServer;
  readonly configuration: Configuration;
  readonly store: MemoryStore;
  readonly broadcasts: Change[];
  readonly logged: string[];
  /** Sends a request with the admin's key unless `headers` has one. */
  ask(
    method: string,
    path: string,
    sent?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answered>;
}

export async function runAdmin(
  options: Partial<AdminServerOptions> & { store?: MemoryStore } = {},
): Promise<RunningAdmin> {
  const configuration = options.configuration ?? testConfiguration();
  const store = options.store ?? new MemoryStore();
  const broadcasts: Change[] = [];
  const logged: string[] = [];
  const admin = createAdminServer({
    configuration,
    store,
    broadcast: (change) => void broadcasts.push(change),
    keys: [
      { name: 'admin', key: ADMIN_KEY, role: 'admin' },
      { name: 'viewer', key: VIEWER_KEY, role: 'viewer' },
    ],
    log: { error: (message, fields) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
    ...options,
  });
  await new Promise<void>((resolve) => admin.server.listen(0, '127.0.0.1', resolve));
  const { port } = admin.server.address() as AddressInfo;
  return {
    admin,
    configuration,
    store,
    broadcasts,
    logged,
    ask: (method, path, sent, headers = { 'X-API-KEY': ADMIN_KEY }) =>
      send(port, method, path, sent, headers),
    [Symbol.asyncDispose]: () => admin.close(),
  };
}

function send(
  port: number,
  method: string,
  path: string,
  sent: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Answered> {
  const body = sent === undefined ? undefined : typeof sent === 'string' ? sent : JSON.stringify(sent);
  return new Promise((resolve, reject) => {
    const framing = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: { ...headers, ...framing },
      agent: false,
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          get body() {
            return JSON.parse(text);
          },
        });
      });
    });
    request.end(body);
  });
}
