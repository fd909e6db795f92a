// `npm test`: everything that must hold before a change is merged, each step named by the sentence
// it proves. `npm test -- floors` runs only the steps whose sentence contains a given word.

import { OPENSSL } from '../test/support/cluster.ts';
import { POSTGRES_SERVER } from '../test/support/postgres-server.ts';
import { REDIS_SERVER } from '../test/support/redis-server.ts';
import { ensureCommand, type NeededCommand } from './ensure-command.ts';
import { commandStep, nodeTestStep, type Step, type StepResult } from './step.ts';

// Commands beyond Node, npm and git that the tests start. The benchmarks name their own.
const NEEDED: readonly NeededCommand[] = [
  { command: 'curl', debianPackage: 'curl', purpose: 'run the calls that the guides show' },
  { command: 'faketime', debianPackage: 'faketime', purpose: 'test what happens when the clock jumps' },
  REDIS_SERVER,
  POSTGRES_SERVER,
  OPENSSL,
  { command: 'pebble', debianPackage: 'pebble', purpose: 'issue certificates by ACME in tests' },
];

// Checks that read the sources. Each takes about a second, so that they may run at the same time.
const CHECKS: readonly Step[] = [
  commandStep('The code is formatted and has no lint findings', 'biome', 'check', '--error-on-warnings', '.'),
  commandStep('The types hold', 'tsc', '--noEmit'),
  commandStep('Nobody imports from a floor above', 'node', 'tools/check-floors.ts'),
  commandStep('Docs and names use our words', 'node', 'tools/check-words.ts'),
  commandStep('Docs are in sync with src', 'node', 'tools/docs.ts', '--check'),
];

const WHOLE_PROCESS = { files: ['test/**/*.test.ts'], exclude: ['test/package/**'], concurrency: 2 };

// Tests, one step after the other: two files at a time keep two cores busy, and tests that start
// whole processes get slow enough to lie when more run beside them.
const TESTS: readonly Step[] = [
  nodeTestStep('Unit tests pass', {
    files: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'bench/**/*.test.ts'],
    concurrency: 2,
  }),
  nodeTestStep('Whole-process tests pass', WHOLE_PROCESS),
  nodeTestStep('The whole-process tests pass with poisoned buffers', {
    ...WHOLE_PROCESS,
    // What is about processes, machines and pages rather than about bytes takes its time once.
    exclude: [
      ...WHOLE_PROCESS.exclude,
      ...['chaos', 'cluster', 'docs', 'stores'].map((folder) => `test/${folder}/**`),
    ],
    environment: { SLUICE_POISON: '1' },
  }),
  nodeTestStep('The package installs and runs', { files: ['test/package/*.test.ts'], concurrency: 1 }),
];

interface Outcome extends StepResult {
  readonly step: Step;
}

async function perform(step: Step): Promise<Outcome> {
  const start = performance.now();
  const result = await step.run();
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  const count = result.passed + result.failed + result.skipped;
  const tests =
    count > 1 ? ` (${count} tests${result.skipped > 0 ? `, ${result.skipped} skipped` : ''})` : '';
  console.log(`${result.failed > 0 ? '✘' : '✔'} ${seconds} s  ${step.name}${tests}`);
  return { ...result, step };
}

function total(outcomes: readonly Outcome[], key: 'passed' | 'failed' | 'skipped'): number {
  return outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
}

const words = process.argv.slice(2).map((word) => word.toLowerCase());
const isWanted = ({ name }: Step) =>
  words.length === 0 || words.some((word) => name.toLowerCase().includes(word));

for (const needed of NEEDED) ensureCommand(needed);
const outcomes = await Promise.all(CHECKS.filter(isWanted).map(perform));
for (const step of TESTS.filter(isWanted)) outcomes.push(await perform(step));

for (const { step, details } of outcomes) {
  if (details !== '') console.log(`\n── ${step.name} ──\n${details.trimEnd()}`);
}
const failed = outcomes.length === 0 ? 1 : total(outcomes, 'failed');
if (outcomes.length === 0) console.log(`No step's sentence contains ${words.join(' or ')}.`);
const skipped = total(outcomes, 'skipped');
console.log(
  `\n${total(outcomes, 'passed')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
);
process.exitCode = failed > 0 ? 1 : 0;
