// Sluice as its users start it: the built package, one worker, a process of its own.

import path from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import type { Bench } from './bench.ts';
import type { Child } from './children.ts';
import type { RunningGateway } from './running-gateway.ts';

export interface SluiceOptions {
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Runs on any core instead of the gateways' one. */
  readonly anyCpu?: boolean;
}

/** Starts the process and waits for nothing. */
export function spawnSluice(bench: Bench, { args, env, anyCpu = false }: SluiceOptions): Child {
  const profiling = bench.profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${bench.profiles}`];
  return bench.children.start({
    command: process.execPath,
    args: [...profiling, bench.sluice, 'start', ...args],
    env: { ...compileCache(bench), ...env },
    ...(!anyCpu && bench.gatewayCpu !== undefined && { cpu: bench.gatewayCpu }),
  });
}

/** Starts Sluice with a template of bench/configs/. */
export async function startSluice(
  bench: Bench,
  template: string,
  values: Readonly<Record<string, string | number>> = {},
): Promise<RunningGateway> {
  const port = await freePort();
  const config = bench.writeConfig(template, { port, ...values });
  return bench.ready(spawnSluice(bench, { args: ['--config', config] }), port);
}

/** Where V8 keeps compiled code between starts: in a folder of this run, which begins empty. */
function compileCache(bench: Bench): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: path.join(bench.folder, 'compile-cache') };
}
