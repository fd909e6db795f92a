// A thread that imports one configuration module, sends what it exports, and ends. A new thread has
// no modules loaded, so that changed imports are read anew; and whatever the module does to globals
// or leaves running ends with it.

import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { resolveOwnName } from '../../plugin/own-name.ts';
import type { ModuleContent, ModuleReport } from './config-module.ts';
import { type Finding, plainValue } from './plain-value.ts';

const { url } = workerData as { readonly url: string };

resolveOwnName();
/** The module and what it imports, without packages. */
const files = new Set([url]);
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const isOwn = specifier !== 'sluice' && context.parentURL !== undefined && files.has(context.parentURL);
    if (isOwn && resolved.url.startsWith('file:') && !resolved.url.includes('/node_modules/'))
      files.add(resolved.url);
    return resolved;
  },
});

async function load(): Promise<ModuleContent> {
  let exported: { readonly default?: unknown };
  try {
    exported = (await import(url)) as typeof exported;
  } catch (error) {
    return { type: 'thrown', ...describe(error) };
  }
  if (exported.default === undefined)
    return { type: 'thrown', message: 'it has no default export: write export default defineConfig({ … })' };
  try {
    return { type: 'value', value: structuredClone(exported.default) };
  } catch {
    const findings: Finding[] = [];
    plainValue(exported.default, process.env, (finding) => findings.push(finding));
    return { type: 'findings', findings };
  }
}

/** What was thrown, and where in the module or its imports, as the stack tells. */
function describe(error: unknown): {
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
} {
  if (!(error instanceof Error)) return { message: String(error) };
  for (const [, place, line, column] of (error.stack ?? '').matchAll(
    /(file:\/\/[^\s)]+?):(\d+)(?::(\d+))?(?=[\s)]|$)/g,
  )) {
    if (place === url) return { message: error.message, line: Number(line), column: Number(column ?? 1) };
    if (files.has(place)) return { message: `${error.message} (${fileURLToPath(place)}:${line})` };
  }
  return { message: error.message };
}

// Not with a top-level await: Node.js would name this file where the module waits for what never comes.
void load().then((content) => {
  const report: ModuleReport = { files: [...files].map((file) => fileURLToPath(file)), content };
  parentPort!.postMessage(report);
  // Whatever the module left running must not keep the thread.
  setImmediate(() => process.exit(0));
});
