// One step of `npm test`: a sentence that holds or not, and the counted tests behind it.
import { spawn } from 'node:child_process';
import { glob } from 'node:fs/promises';
import path from 'node:path';
import type { FailureLine, ReportLine } from './test-reporter.ts';

export interface StepResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What to read when something failed, or why something was skipped. */
  readonly details: string;
}

export interface Step {
  /** A sentence that is true when the step passes. */
  readonly name: string;
  run(): Promise<StepResult>;
}

interface Finished {
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder of package.json; every command runs there. */
export const root = path.join(import.meta.dirname, '..');

/** Runs a command without a terminal and without stdin, and keeps what it says. */
export function run(command: string, args: readonly string[], environment = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      // The pinned Node comes first, also when somebody runs this file without npm. Tests that start
      // `node` themselves must not inherit the marks of the runner they run under.
      env: {
        ...process.env,
        NODE_TEST_CONTEXT: undefined,
        PATH: `${path.join(root, 'node_modules/.bin')}${path.delimiter}${process.env.PATH}`,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', (error) => resolve({ ok: false, stdout, stderr: `${stderr}${error.message}\n` }));
    child.on('close', (code, signal) => {
      if (signal !== null) stderr += `${command} was stopped by ${signal}\n`;
      resolve({ ok: code === 0, stdout, stderr });
    });
  });
}

/** A step that holds when a command exits with 0. It counts as one test. */
export function commandStep(name: string, command: string, ...args: string[]): Step {
  return {
    name,
    async run() {
      const { ok, stdout, stderr } = await run(command, args);
      return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0, details: ok ? '' : stdout + stderr };
    },
  };
}

interface NodeTestOptions {
  /** Glob patterns of test files, from the root. */
  readonly files: readonly string[];
  readonly exclude?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Test files that run at the same time. */
  readonly concurrency: number;
}

/** A step of many tests. It fails when there is no test at all: then it says nothing. */
export function nodeTestStep(name: string, options: NodeTestOptions): Step {
  return {
    name,
    async run() {
      const files: string[] = [];
      for await (const file of glob([...options.files], { cwd: root, exclude: options.exclude ?? [] })) {
        files.push(file);
      }
      if (files.length === 0) return failed(`No file matches ${options.files.join(' ')}.\n`);
      const finished = await run(
        'node',
        [
          '--test',
          `--test-concurrency=${options.concurrency}`,
          // Long enough for the slowest honest test, so that only a hanging one is cut.
          '--test-timeout=300000',
          `--test-reporter=${path.join(import.meta.dirname, 'test-reporter.ts')}`,
          ...files.sort(),
        ],
        options.environment,
      );
      return readReport(finished);
    },
  };
}

function readReport({ ok, stdout, stderr }: Finished): StepResult {
  const stories: string[] = [];
  for (const text of stdout.split('\n')) {
    if (!text.startsWith('{"kind":')) continue;
    const line: ReportLine = JSON.parse(text);
    if (line.kind !== 'summary') {
      stories.push(line.kind === 'skip' ? `– skipped: ${line.name}: ${line.reason}\n` : tell(line));
      continue;
    }
    const { passed, skipped } = line;
    const details = stories.join('');
    // A runner that says no while no test failed has a reason that must not get lost.
    if (!ok && line.failed === 0) return { ...failed(details + stdout + stderr), passed, skipped };
    return { passed, failed: line.failed, skipped, details };
  }
  return failed(`The test runner ended without a summary.\n${stdout}${stderr}`);
}

function failed(details: string): StepResult {
  return { passed: 0, failed: 1, skipped: 0, details };
}

function tell({ place, name, error, output }: FailureLine): string {
  const printed = output === '' ? '' : `\n\nThe file printed last:\n${output.trimEnd()}`;
  return `✘ ${name}\n  ${place}\n${indent(`${error}${printed}`)}\n`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
