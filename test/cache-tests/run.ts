// Judges the cache by the public suite https://github.com/http-tests/cache-tests, whose definitions
// must lie in a folder:
//
//   CACHE_TESTS=../cache-tests node test/cache-tests/run.ts [id …]

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { startWithFile } from '../support/config-file.ts';
import { judge, type Verdict } from './judge.ts';
import { Origin } from './origin.ts';
import type { SuiteSpec, TestSpec } from './suite.ts';

const folder = process.env.CACHE_TESTS;
if (folder === undefined) {
  console.error('Say in CACHE_TESTS where a checkout of https://github.com/http-tests/cache-tests lies.');
  process.exit(2);
}
const { default: suites } = (await import(pathToFileURL(path.resolve(folder, 'tests/index.mjs')).href)) as {
  readonly default: readonly SuiteSpec[];
};
const wanted = new Set(process.argv.slice(2));
const tests = suites
  .flatMap((suite) => suite.tests)
  .filter((test) => test.browser_only !== true && (wanted.size === 0 || wanted.has(test.id)));

const ends: (() => unknown)[] = [];
const scope = { after: (end: () => unknown) => void ends.push(end) };
const origin = new Origin();
const originPort = await origin.listen();
const { sluice } = await startWithFile(
  scope as never,
  `workers: 2
admin: {enabled: false}
metrics: {enabled: false}
access_log: {path: "off"}
routes:
  - id: cache-tests
    uri: /*
    plugins: {http-cache: ${process.env.CACHE_CONFIG ?? '{}'}}
    upstream: {type: roundrobin, nodes: {"127.0.0.1:${originPort}": 1}}
`,
  { workers: 2 },
);

const verdicts = new Map<string, Verdict>();
const queue = [...tests];
// Most of a test's time is waiting for responses to grow old.
const worker = async (): Promise<void> => {
  for (let test = queue.shift(); test !== undefined; test = queue.shift())
    verdicts.set(test.id, await judge(test, origin, sluice.port));
};
await Promise.all(Array.from({ length: 40 }, worker));

const byId = new Map(tests.map((test) => [test.id, test]));
/** As the suite counts: a test whose dependencies did not pass says nothing. */
const passes = (test: TestSpec): boolean =>
  verdicts.get(test.id)?.result === 'pass' &&
  (test.depends_on ?? []).every((id) => !byId.has(id) || passes(byId.get(id)!));

for (const kind of ['required', 'optimal', 'check'] as const) {
  const own = tests.filter((test) => (test.kind ?? 'required') === kind);
  console.log(`${kind}: ${own.filter(passes).length} of ${own.length}`);
  for (const test of own) {
    if (passes(test)) continue;
    const { result, message } = verdicts.get(test.id)!;
    console.log(
      `  ${test.id}: ${result === 'pass' ? 'a test that it depends on did not pass' : `${result}: ${message}`}`,
    );
  }
}
for (const end of ends) await end();
origin.server.closeAllConnections();
origin.server.close();
