// `npm run bench`: measures every claim that docs/benchmarks.md makes, and writes that page.
//
//   npm run bench                       everything, in about 7 minutes, into docs/benchmarks.{md,json}
//   npm run bench -- --quick            everything, roughly, in less than 2 minutes; printed only
//   npm run bench -- --only NAME…       some cases; printed only
//   npm run bench -- --profile NAME     where Sluice spends its time in one case
//   --write     writes the page also when --quick or --only is given
//   --sluice MAIN_JS    measures another build instead of making dist/
//
// Everything it starts is on loopback and in one temporary folder, and is gone when it ends.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cases } from './cases/index.ts';
import { Bench } from './harness/bench.ts';
import type { BenchCase, LoadCase } from './harness/bench-case.ts';
import { describeMachine } from './harness/machine.ts';
import { page } from './harness/page.ts';
import { profileText, readProfiles } from './harness/profile.ts';
import { Progress } from './harness/progress.ts';
import { type Results, shortNumber } from './harness/results.ts';
import { FULL_PACE, measureLoadCase, paceOf, QUICK_PACE, secondsOf } from './harness/rounds.ts';

const root = path.join(import.meta.dirname, '..');
const docs = path.join(root, 'docs');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    profile: { type: 'string' },
    write: { type: 'boolean', default: false },
    sluice: { type: 'string' },
  },
});
const pace = values.quick ? QUICK_PACE : FULL_PACE;
// `--only one two` is meant as `--only one --only two`.
const wanted = [...values.only, ...positionals];

const PROFILE_PACE = { warmUpSeconds: 2, rounds: 1, secondsPerRun: 5 };

function caseNamed(name: string): BenchCase {
  const found = cases.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new Error(`there is no case ${name}; there are ${cases.map((one) => one.name).join(', ')}`);
}

function build(): string {
  console.error('Building the package…');
  const { status } = spawnSync(process.execPath, [path.join(root, 'tools/build.ts')], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the build failed');
  return path.join(root, 'dist/main.js');
}

async function measure(bench: Bench, chosen: readonly BenchCase[]): Promise<Results> {
  const expected = (one: BenchCase) =>
    one.kind === 'load'
      ? secondsOf(one, paceOf(one, values.quick))
      : values.quick
        ? one.seconds.quick
        : one.seconds.full;
  const progress = new Progress(chosen.map(expected));
  const loadCases: Results['loadCases'][number][] = [];
  const figureCases: Results['figureCases'][number][] = [];
  for (const one of chosen) {
    const { name, title, about } = one;
    progress.begin(title);
    if (one.kind === 'load') {
      const result = await measureLoadCase(bench, one, paceOf(one, values.quick), (what) =>
        progress.step(what),
      );
      loadCases.push({ name, title, about, ...result });
      for (const { title: compared, against, ratio } of result.comparisons) {
        progress.note(`    ${ratio.toFixed(2)}  ${compared}, against ${against}`);
      }
    } else {
      const figures = await one.measure(bench);
      figureCases.push({ name, title, about, figures });
      for (const figure of figures)
        progress.note(`    ${shortNumber(figure.value)} ${figure.unit}  ${figure.title}`);
    }
    progress.end(expected(one));
  }
  return {
    machine: describeMachine(bench),
    quick: values.quick,
    pace,
    pinned: bench.gatewayCpu !== undefined,
    loadCases,
    figureCases,
  };
}

function show(results: Results, write: boolean): void {
  const file = path.join(docs, 'benchmarks.md');
  const text = page(results, existsSync(file) ? readFileSync(file, 'utf8') : '');
  if (!write) {
    console.log(text);
    return;
  }
  writeFileSync(file, text);
  writeFileSync(path.join(docs, 'benchmarks.json'), `${JSON.stringify(results, undefined, 2)}\n`);
  console.error('Written to docs/benchmarks.md and docs/benchmarks.json.');
}

/** Loads the one contender of a case that is Sluice, under V8's profiler. */
async function profile(bench: Bench, name: string, folder: string): Promise<void> {
  const one = caseNamed(name);
  if (one.kind !== 'load' || one.profiled === undefined) throw new Error(`${name} can't be profiled`);
  const contender = one.contenders.find((candidate) => candidate.name === one.profiled)!;
  const alone: LoadCase = {
    ...one,
    gateways: { [contender.gateway]: one.gateways[contender.gateway] },
    contenders: [contender],
    comparisons: [],
  };
  const result = await measureLoadCase(bench, alone, PROFILE_PACE, (what) => console.error(what));
  console.log(
    `${one.title}, ${contender.name}: ${result.contenders[0].median.cpuMicrosecondsPerRequest.toFixed(1)} µs of CPU per request (under the profiler)`,
  );
  for (const thread of readProfiles(folder, PROFILE_PACE.secondsPerRun).filter(
    ({ busyMilliseconds }) => busyMilliseconds > 100,
  )) {
    console.log(
      `\nA thread busy for ${(thread.busyMilliseconds / 1000).toFixed(1)} s, self time:\n${profileText(thread)}`,
    );
  }
}

async function main(): Promise<void> {
  const chosen = wanted.length === 0 ? cases : wanted.map(caseNamed);
  const profiles =
    values.profile === undefined ? undefined : path.join(root, '.sluice/profiles', `${Date.now()}`);
  if (profiles !== undefined) mkdirSync(profiles, { recursive: true });
  const sluice = values.sluice === undefined ? build() : path.resolve(values.sluice);
  const bench = new Bench({ quick: values.quick, sluice, ...(profiles !== undefined && { profiles }) });
  process.on('exit', () => bench.abandon());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => void bench.close().finally(() => process.exit(130)));
  }
  try {
    await bench.startUpstream();
    if (values.profile !== undefined && profiles !== undefined)
      await profile(bench, values.profile, profiles);
    else {
      const whole = wanted.length === 0 && !values.quick;
      show(await measure(bench, chosen), whole || values.write);
    }
  } finally {
    await bench.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
