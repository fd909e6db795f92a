import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Finding } from './plain-value.ts';

/** What came of importing a configuration module. */
export type ModuleContent =
  | { readonly type: 'value'; readonly value: unknown }
  /** It exports values that a configuration can't have. */
  | { readonly type: 'findings'; readonly findings: readonly Finding[] }
  /** It can't be imported. The place is there when it is in the module itself. */
  | { readonly type: 'thrown'; readonly message: string; readonly line?: number; readonly column?: number };

export interface ModuleReport {
  /** Absolute paths of the module and of the local files that it imports, as far as they are known. */
  readonly files: readonly string[];
  readonly content: ModuleContent;
}

/** Imports a TypeScript or JavaScript module in a thread of its own. Never rejects. */
export function loadConfigModule(
  file: string,
  { timeout = 10_000 }: { /** Milliseconds. */ readonly timeout?: number } = {},
): Promise<ModuleReport> {
  const { promise, resolve } = Promise.withResolvers<ModuleReport>();
  const failed = (message: string) => resolve({ files: [file], content: { type: 'thrown', message } });
  const worker = new Worker(new URL('./config-module-worker.ts', import.meta.url), {
    workerData: { url: pathToFileURL(file).href },
    name: 'configuration',
  });
  const timer = setTimeout(() => {
    failed(`it was not loaded within ${timeout / 1000} seconds`);
    void worker.terminate();
  }, timeout);
  worker.once('message', (report: ModuleReport) => resolve(report));
  worker.once('error', (error) => failed(error instanceof Error ? error.message : String(error)));
  // Also the end of a module that waits for what never comes, or that calls process.exit.
  worker.once('exit', () => {
    clearTimeout(timer);
    failed('it ended before it exported anything');
  });
  return promise;
}
