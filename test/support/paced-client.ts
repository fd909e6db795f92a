// A client with a thread of its own, so that what else a test does is not taken for a stall.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Scope } from './echo-upstream.ts';

/** What the client saw since it was last asked. */
export interface PacedReport {
  /** By status; `broken` for a connection that ended. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds of the request that took longest. */
  readonly longest: number;
}

interface Start {
  readonly port: number;
  readonly request: string;
  readonly connections: number;
}

/** Sends a request every few milliseconds on each of some standing connections. */
export class PacedClient {
  readonly #thread: Worker;

  constructor(scope: Scope, start: Start) {
    this.#thread = new Worker(new URL(import.meta.url), { workerData: start });
    scope.after(() => this.#thread.terminate());
  }

  /** What it saw since the last report; the next begins now. */
  report(): Promise<PacedReport> {
    return new Promise((resolve) => {
      this.#thread.once('message', resolve);
      this.#thread.postMessage('report');
    });
  }
}

let statuses: Record<string, number> = {};
let longest = 0;

async function keepAsking({ port, request }: Start): Promise<void> {
  const connect = () => net.connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
  let socket = connect();
  for (;;) {
    const start = performance.now();
    socket.write(request);
    const { status, isLast } = await answerOn(socket);
    statuses[status] = (statuses[status] ?? 0) + 1;
    longest = Math.max(longest, performance.now() - start);
    if (status === 'broken') return;
    // A connection serves so many requests and no more, as is said in time.
    if (isLast) socket = connect();
    await sleep(2);
  }
}

function answerOn(socket: net.Socket): Promise<{ status: string; isLast: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (status: string): void => {
      socket.off('data', onData).off('close', onClose).off('error', onClose);
      resolve({ status, isLast: /^connection: close/im.test(text) });
    };
    const onData = (part: string): void => {
      text += part;
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
      if (head >= 0 && text.length >= head + 4 + length) finish(text.slice(9, 12));
    };
    const onClose = (): void => finish('broken');
    socket.on('data', onData).on('close', onClose).on('error', onClose);
  });
}

if (!isMainThread && parentPort !== null) {
  const start = workerData as Start;
  const port = parentPort;
  port.on('message', () => {
    port.postMessage({ statuses, longest } satisfies PacedReport);
    statuses = {};
    longest = 0;
  });
  for (let index = 0; index < start.connections; index++) void keepAsking(start);
}
