// Reports `node --test` as one JSON object per line, for tools/test.ts to count and to retell.
import path from 'node:path';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

/** A test that failed, with everything a reader needs to find and understand it. */
export interface FailureLine {
  readonly kind: 'failure';
  /** `file:line`, relative to the working directory. */
  readonly place: string;
  readonly name: string;
  readonly error: string;
  /** What the test's file printed last, empty when it printed nothing. */
  readonly output: string;
}

/** A test that did not run, and why. */
export interface SkipLine {
  readonly kind: 'skip';
  readonly name: string;
  readonly reason: string;
}

/** The totals; the last line, written once. Its absence means that the runner itself broke. */
export interface SummaryLine {
  readonly kind: 'summary';
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export type ReportLine = FailureLine | SkipLine | SummaryLine;

const OUTPUT_LIMIT = 4_000;

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const outputs = new Map<string, string>();
  const failures: Omit<FailureLine, 'output'>[] = [];
  const files: string[] = [];
  const empty: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      const { file, message } = event.data;
      const before = outputs.get(file ?? '') ?? '';
      outputs.set(file ?? '', (before + message).slice(-OUTPUT_LIMIT));
    } else if (event.type === 'test:fail') {
      const { name, file, line, details } = event.data;
      // A test whose only fault is a failed subtest would tell the same story again.
      if ('failureType' in details.error && details.error.failureType === 'subtestsFailed') continue;
      const place = `${path.relative(process.cwd(), file ?? '')}:${line ?? 1}`;
      failures.push({ kind: 'failure', place, name, error: inspect(details.error.cause ?? details.error) });
      files.push(file ?? '');
    } else if (event.type === 'test:pass') {
      const { name, file, skip } = event.data;
      // A file without tests passes as a test named after itself, which proves nothing.
      if (file !== undefined && path.resolve(name) === file && event.data.nesting === 0) empty.push(name);
      if (typeof skip === 'string') yield line({ kind: 'skip', name, reason: skip });
    } else if (event.type === 'test:summary' && event.data.file === undefined) {
      const { tests, passed, skipped, todo } = event.data.counts;
      for (const [index, failure] of failures.entries()) {
        yield line({ ...failure, output: outputs.get(files[index]) ?? '' });
        outputs.delete(files[index]);
      }
      for (const name of empty) {
        yield line({ kind: 'failure', place: name, name, error: 'The file holds no tests.', output: '' });
      }
      const failed = tests - passed - skipped - todo + empty.length;
      yield line({ kind: 'summary', passed: passed - empty.length, failed, skipped: skipped + todo });
    }
  }
}

function line(value: ReportLine): string {
  return `${JSON.stringify(value)}\n`;
}
