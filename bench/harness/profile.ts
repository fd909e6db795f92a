// Where a Sluice under load spends its time: the V8 profiles of its threads, summed up by function.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  readonly milliseconds: number;
}

export interface ThreadProfile {
  /** The file's name, which ends with process, thread and a number. */
  readonly file: string;
  /** Without the time in which the thread slept. */
  readonly busyMilliseconds: number;
  readonly functions: readonly SelfTime[];
}

/** The profiles in a folder, busiest first; of each its last seconds only, as all of them begin with the start. */
export function readProfiles(folder: string, lastSeconds: number): ThreadProfile[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.cpuprofile'))
    .map((file) =>
      summarize(file, JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as CpuProfile, lastSeconds),
    )
    .sort((left, right) => right.busyMilliseconds - left.busyMilliseconds);
}

function summarize(
  file: string,
  { nodes, samples, timeDeltas }: CpuProfile,
  lastSeconds: number,
): ThreadProfile {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const self = new Map<string, number>();
  let left = lastSeconds * 1e6;
  for (let index = samples.length - 1; index >= 0 && left > 0; index--) {
    const name = names.get(samples[index]) ?? 'unknown';
    const microseconds = Math.min(left, Math.max(0, timeDeltas[index] ?? 0));
    self.set(name, (self.get(name) ?? 0) + microseconds);
    left -= microseconds;
  }
  self.delete('(idle)');
  const functions = [...self]
    .map(([name, microseconds]) => ({ name, milliseconds: microseconds / 1000 }))
    .sort((left, right) => right.milliseconds - left.milliseconds);
  const busyMilliseconds = functions.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return { file, busyMilliseconds, functions };
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  return url === ''
    ? name
    : `${name}  ${url.startsWith('node:') ? url : path.basename(url)}:${lineNumber + 1}`;
}

/** The functions that take most, one a line with their share of the thread's busy time. */
export function profileText({ busyMilliseconds, functions }: ThreadProfile, count = 25): string {
  return functions
    .slice(0, count)
    .map(
      ({ name, milliseconds }) =>
        `${((milliseconds / busyMilliseconds) * 100).toFixed(1).padStart(5)} %  ${name}`,
    )
    .join('\n');
}
