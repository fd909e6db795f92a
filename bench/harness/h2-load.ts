// One run of h2load against one gateway: HTTP/2 in cleartext, with prior knowledge.

import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ensureCommand } from '../../tools/ensure-command.ts';
import type { Bench } from './bench.ts';
import type { Load } from './bench-case.ts';
import type { LoadResult } from './load.ts';
import { cpuSeconds, processTree } from './process-tree.ts';
import type { RunningGateway } from './running-gateway.ts';

/** Loads the gateway for whole seconds. */
export async function runH2Load(
  bench: Bench,
  { child, port }: RunningGateway,
  load: Load & { readonly streams: number },
  seconds: number,
): Promise<LoadResult> {
  const command = ensureCommand({
    command: 'h2load',
    debianPackage: 'nghttp2-client',
    purpose: 'make the load of the benchmarks of HTTP/2',
  });
  const log = path.join(bench.folder, 'h2load.log');
  rmSync(log, { force: true });
  const args = [
    ...['--threads', '1', '--clients', String(load.connections), '--duration', String(seconds)],
    ...['--max-concurrent-streams', String(load.streams), '--log-file', log],
    ...load.headers.flatMap((header) => ['--header', header]),
    `http://127.0.0.1:${port}${load.path}`,
  ];
  const tree = processTree(child.pid);
  const before = cpuSeconds(tree);
  const h2load = bench.children.start({
    command,
    args,
    readsStdout: true,
    ...(bench.loadCpu !== undefined && { cpu: bench.loadCpu }),
  });
  const code = await h2load.exit();
  const cpu = cpuSeconds(tree) - before;
  // Each line: when it began, its status, how long it took in microseconds.
  const lines = code === 0 ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
  if (lines.length < 2) throw new Error(`h2load failed (code ${code}):\n${h2load.stdout}${h2load.lastWords}`);
  const times = new Float64Array(lines.length);
  let errors = 0;
  for (const [index, line] of lines.entries()) {
    const [, status, microseconds] = line.split('\t');
    times[index] = Number(microseconds);
    if (Number(status) !== load.expectedStatus) errors++;
  }
  times.sort();
  const requests = lines.length;
  return {
    requests,
    requestsPerSecond: requests / seconds,
    cpuMicrosecondsPerRequest: (cpu / requests) * 1e6,
    coreUse: cpu / seconds,
    p50Milliseconds: times[Math.floor(requests * 0.5)] / 1000,
    p99Milliseconds: times[Math.floor(requests * 0.99)] / 1000,
    errors,
  };
}
