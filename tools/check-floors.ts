// Checks that nobody imports from a floor above (DESIGN: the house, its floors and rooms).
//
// A lower floor that knows a higher one can't be understood, tested or replaced alone, and islands
// that lean on each other are no islands. The table below is the rule; the rest reads imports with a
// regular expression, which is enough because Biome gives every import the same shape.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

type Source = ReadonlyMap<string, string>;

interface Floor {
  /** What may be imported in full: names of folders in src/. Itself is always allowed. */
  readonly values: readonly string[];
  /** What may be imported with `import type` only, besides the files of INTERFACES. */
  readonly interfaces: readonly string[];
}

const THIRD_FLOOR: Floor = { values: ['lib', 'model', 'plugin'], interfaces: [] };

/** Who may import whom. A folder that is missing here may import nothing, so that a new one is thought about. */
const FLOORS: Readonly<Record<string, Floor>> = {
  lib: { values: [], interfaces: [] },
  model: { values: ['lib'], interfaces: [] },
  plugin: { values: ['lib', 'model'], interfaces: [] },
  plugins: THIRD_FLOOR,
  balancers: THIRD_FLOOR,
  discovery: THIRD_FLOOR,
  geo: THIRD_FLOOR,
  stores: THIRD_FLOOR,
  state: THIRD_FLOOR,
  tls: { values: THIRD_FLOOR.values, interfaces: ['http'] },
  acme: THIRD_FLOOR,
  http: { values: THIRD_FLOOR.values, interfaces: ['tls'] },
  http2: { values: ['lib', 'http'], interfaces: ['tls'] },
  proxy: {
    values: ['lib', 'model', 'plugin', 'http', 'http2', 'tls'],
    interfaces: ['balancers', 'discovery', 'state'],
  },
  admin: { values: ['lib', 'model', 'plugin'], interfaces: ['stores', 'state'] },
  portal: { values: ['lib', 'model', 'plugin'], interfaces: ['stores', 'state'] },
  telemetry: { values: ['lib', 'model', 'plugin'], interfaces: ['stores', 'state'] },
  cluster: { values: ['lib', 'model', 'plugin'], interfaces: [] },
};

/** These know everything: it is their purpose. */
const ROOFS = new Set([
  'cli',
  'server',
  'main.ts',
  'index.ts',
  'define-config.ts',
  'define-config.test-d.ts',
]);

/** The files that describe a room to others; whoever may import its types may import their values too. */
const INTERFACES = new Set([
  'balancers/balancer.ts',
  'state/memory/record-reader.ts',
  'state/memory/record-ring.ts',
]);

const FORBIDDEN_NAME = /(?:^|[/-])(?:utils?|helpers?|common|misc|types)(?:[./-]|$)/;
const LONG = 400;

export interface Findings {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  readonly files: number;
  readonly edges: number;
}

/** Checks TypeScript files, given as text by their path in src/ with forward slashes. */
export function checkFloors(source: Source): Findings {
  const problems: string[] = [];
  const warnings: string[] = [];
  let edges = 0;
  for (const [file, text] of source) {
    if (FORBIDDEN_NAME.test(file)) problems.push(`${file}: a name that says nothing; name the noun.`);
    if (/^export default\b/m.test(text)) problems.push(`${file}: default exports lose their name.`);
    const lines = text.split('\n').length - 1;
    if (lines > LONG) warnings.push(`${file}: ${lines} lines; more than ${LONG} want to be two files.`);
    for (const { target, isType } of importsOf(file, text)) {
      edges += 1;
      const problem = judge(file, target, isType);
      if (problem !== undefined) problems.push(`${file} imports ${target}: ${problem}`);
    }
  }
  return { problems, warnings, files: source.size, edges };
}

interface Import {
  /** Path in src/. */
  readonly target: string;
  readonly isType: boolean;
}

// `import … from 'x'`, `export … from 'x'`, `import 'x'` and `import('x')`.
const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?([^'";]*?from\s+)?'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'\s*\)/gm;

function* importsOf(file: string, text: string): Generator<Import> {
  for (const [, typeOnly, clause = '', statement, expression] of text.matchAll(IMPORT)) {
    const target = path.posix.join(path.posix.dirname(file), statement ?? expression);
    yield { target, isType: typeOnly !== undefined || hasOnlyTypes(clause) };
  }
}

/** Whether a clause such as `{ type A, type B } from` names no value. */
function hasOnlyTypes(clause: string): boolean {
  const names = /^\{(.*)\}\s*from\s+$/s.exec(clause)?.[1];
  return (
    names
      ?.split(',')
      .filter((name) => name.trim() !== '')
      .every((name) => /^\s*type\s/.test(name)) ?? false
  );
}

function judge(file: string, target: string, isType: boolean): string | undefined {
  const from = file.split('/')[0];
  const to = target.split('/')[0];
  if (ROOFS.has(from)) return undefined;
  if (to === '..') return 'outside of src/.';
  if (from === to) return from === 'plugins' && !isOwnFolder(file, target) ? 'a neighbour.' : undefined;
  const floor = FLOORS[from];
  if (floor === undefined) return `${from}/ has no floor in tools/check-floors.ts.`;
  if (floor.values.includes(to)) return undefined;
  if (!floor.interfaces.includes(to)) return `${from}/ must not know ${to}/.`;
  return isType || INTERFACES.has(target) ? undefined : `${from}/ may import only types from ${to}/.`;
}

/** A Plugin's folder is an island; only the list beside the folders knows them all. */
function isOwnFolder(file: string, target: string): boolean {
  const [, folder, ...rest] = file.split('/');
  return rest.length === 0 || target.startsWith(`plugins/${folder}/`);
}

function readSource(folder: string): Source {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.replaceAll(path.sep, '/'))
    .sort();
  return new Map(files.map((file) => [file, readFileSync(path.join(folder, file), 'utf8')]));
}

if (import.meta.main) {
  const { problems, warnings, files, edges } = checkFloors(
    readSource(path.join(import.meta.dirname, '../src')),
  );
  for (const warning of warnings) console.log(`warning  ${warning}`);
  for (const problem of problems) console.error(`problem  ${problem}`);
  console.log(`${files} files, ${edges} imports, ${problems.length} problems, ${warnings.length} warnings`);
  // A checker that saw nothing must not say that all is well.
  if (problems.length > 0 || files === 0 || edges === 0) process.exitCode = 1;
}
