import { execFileSync, spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';

/** What was measured on; nothing that names the machine or its places. */
export interface Machine {
  readonly cores: number;
  readonly cpuModel: string;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly nginx: string;
  readonly wrk: string;
  readonly sluice: string;
  /** The date of the run, UTC. */
  readonly date: string;
}

export function describeMachine(commands: {
  readonly nginx: string;
  readonly wrk: string;
  readonly sluice: string;
}): Machine {
  const all = cpus();
  const version = (command: string, argument: string) => {
    // Both of them say it on stderr, and wrk with an exit code of 1.
    const { stdout, stderr } = spawnSync(command, [argument], { encoding: 'utf8' });
    return /\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? 'unknown';
  };
  return {
    cores: all.length,
    cpuModel: all[0]?.model.trim() ?? 'unknown',
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    nginx: version(commands.nginx, '-v'),
    wrk: version(commands.wrk, '-v'),
    sluice: execFileSync(process.execPath, [commands.sluice, '--version'], { encoding: 'utf8' })
      .trim()
      .split(' ')
      .at(-1)!,
    date: new Date().toISOString().slice(0, 10),
  };
}
