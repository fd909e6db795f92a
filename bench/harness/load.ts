// One run of wrk against one gateway.

import path from 'node:path';
import { HttpSocket } from '../clients/http-socket.ts';
import type { Bench } from './bench.ts';
import type { Load } from './bench-case.ts';
import { cpuSeconds, processTree } from './process-tree.ts';
import type { RunningGateway } from './running-gateway.ts';

export const DEFAULT_LOAD: Load = {
  connections: 64,
  path: '/api/v1/orders/123',
  headers: [],
  method: 'GET',
  bodyBytes: 0,
  expectedStatus: 200,
};

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Of the gateway's whole process tree. */
  readonly cpuMicrosecondsPerRequest: number;
  /** Of one core; below 0.95 the gateway was waiting for load or upstream. */
  readonly coreUse: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Answers with another status than expected, and socket errors. */
  readonly errors: number;
}

interface Summary {
  readonly requests: number;
  readonly microseconds: number;
  readonly p50: number;
  readonly p99: number;
  /** Answers with 400 or more. */
  readonly failedStatus: number;
  readonly socketErrors: number;
}

const SCRIPT = path.join(import.meta.dirname, '../load.lua');

/** Loads the gateway for whole seconds. */
export async function runLoad(
  bench: Bench,
  { child, port, tlsPort }: RunningGateway,
  load: Load,
  seconds: number,
): Promise<LoadResult> {
  const args = [
    ...['--threads', '1', '--connections', String(load.connections), '--duration', `${seconds}s`],
    ...['--script', SCRIPT, ...load.headers.flatMap((header) => ['--header', header])],
    load.tls === true ? `https://localhost:${tlsPort}${load.path}` : `http://127.0.0.1:${port}${load.path}`,
    ...['--', `method=${load.method}`],
    ...(load.bodyBytes > 0 ? [`body=${load.bodyBytes}`] : []),
    ...(load.paths === undefined ? [] : [`paths=${bench.writeFile('paths', load.paths)}`]),
  ];
  const tree = processTree(child.pid);
  const before = cpuSeconds(tree);
  const wrk = bench.children.start({
    command: bench.wrk,
    args,
    readsStdout: true,
    ...(bench.loadCpu !== undefined && { cpu: bench.loadCpu }),
  });
  const code = await wrk.exit();
  const cpu = cpuSeconds(tree) - before;
  const text = /^SUMMARY (.*)$/m.exec(wrk.stdout)?.[1];
  if (code !== 0 || text === undefined)
    throw new Error(`wrk failed (code ${code}):\n${wrk.stdout}${wrk.lastWords}`);
  const summary = JSON.parse(text) as Summary;
  const { requests, failedStatus } = summary;
  if (requests === 0) throw new Error('wrk got no answer at all');
  return {
    requests,
    requestsPerSecond: requests / (summary.microseconds / 1e6),
    cpuMicrosecondsPerRequest: (cpu / requests) * 1e6,
    coreUse: cpu / (summary.microseconds / 1e6),
    p50Milliseconds: summary.p50 / 1000,
    p99Milliseconds: summary.p99 / 1000,
    errors: summary.socketErrors + (load.expectedStatus < 400 ? failedStatus : requests - failedStatus),
  };
}

/** Throws unless an answer has the status that the load expects; wrk only tells good from bad. */
export async function checkAnswer({ port }: RunningGateway, load: Load, times = 1): Promise<void> {
  const socket = await HttpSocket.connect(port);
  const fields = load.headers.map((header) => `${header}\r\n`).join('');
  const body = 'x'.repeat(load.bodyBytes);
  const length = load.method === 'GET' ? '' : `Content-Length: ${body.length}\r\n`;
  for (let left = times; left > 0; left--) {
    const { status } = await socket.send(
      `${load.method} ${load.path} HTTP/1.1\r\nHost: bench.test\r\n${fields}${length}\r\n${body}`,
    );
    if (left === 1 && status !== load.expectedStatus) {
      throw new Error(`${load.method} ${load.path} gave ${status} where ${load.expectedStatus} was expected`);
    }
  }
  socket.close();
}
