// Sluice with its Admin API and its store, started empty, and a client for the Admin API.

import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.ts';
import { type HttpAnswer, HttpSocket } from '../clients/http-socket.ts';
import type { Bench } from './bench.ts';
import type { RunningGateway } from './running-gateway.ts';
import { spawnSluice } from './sluice.ts';

const ADMIN_KEY = 'a-key-for-benchmarks-only';

export interface ManagedSluice extends RunningGateway {
  readonly adminPort: number;
}

/**
 * One worker, an empty data directory, no access log, metrics as they are by default. Not kept on one
 * core: nothing is divided by CPU here, and that the Admin API has a thread beside the worker counts.
 */
export async function startManagedSluice(bench: Bench): Promise<ManagedSluice> {
  const port = await freePort();
  const adminPort = await freePort();
  const child = spawnSluice(bench, {
    args: [
      ...['--data', mkdtempSync(path.join(bench.folder, 'data-'))],
      ...['--listen', `127.0.0.1:${port}`, '--admin-listen', `127.0.0.1:${adminPort}`],
      ...['--workers', '1', '--access-log', 'off'],
    ],
    env: { SLUICE_ADMIN_KEY: ADMIN_KEY },
    anyCpu: true,
  });
  await bench.ready(child, port);
  await bench.ready(child, adminPort);
  return { child, port, adminPort };
}

/** One connection to the Admin API. */
export class AdminClient {
  readonly #socket: HttpSocket;
  readonly #adminPort: number;

  static async connect({ adminPort }: ManagedSluice): Promise<AdminClient> {
    return new AdminClient(await HttpSocket.connect(adminPort), adminPort);
  }

  private constructor(socket: HttpSocket, adminPort: number) {
    this.#socket = socket;
    this.#adminPort = adminPort;
  }

  /** Throws unless it is answered with 200 or 201. */
  async put(resource: string, value: unknown): Promise<HttpAnswer> {
    const body = JSON.stringify(value);
    const answer = await this.#socket.send(
      `PUT /apisix/admin/${resource} HTTP/1.1\r\nHost: 127.0.0.1:${this.#adminPort}\r\nX-API-KEY: ${ADMIN_KEY}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    if (answer.status !== 200 && answer.status !== 201) {
      throw new Error(`PUT ${resource} was answered with ${answer.status}: ${answer.body}`);
    }
    return answer;
  }

  close(): void {
    this.#socket.close();
  }
}

/** Resolves when the path is answered with 200. */
export async function untilServed(port: number, requestPath: string, patienceMs = 5_000): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { status } = await HttpSocket.once(port, requestPath);
    if (status === 200) return;
    if (performance.now() > deadline) throw new Error(`${requestPath} is still answered with ${status}`);
    await delay(2);
  }
}
