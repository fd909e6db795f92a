// `npm run build`: makes dist/, which is what the package holds.
//
// The JavaScript comes from esbuild in few files: loading about 100 small ones costs 25 ms in the
// main thread and 15 ms in each worker (docs/decisions/0006-bundled-package.md). What is imported
// with `import()` stays a file of its own, and dependencies stay outside. The type declarations come
// from tsc, which keeps the shape of src/.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { Locations } from './build/locations.ts';

const root = path.join(import.meta.dirname, '..');
const source = path.join(root, 'src');
const dist = path.join(root, 'dist');

rmSync(dist, { recursive: true, force: true });

// Files started by their location (workers) become entries too, and may name further ones.
let entries = new Map([
  ['main', path.join(source, 'main.ts')],
  ['index', path.join(source, 'index.ts')],
]);
let locations = new Locations(source);
for (let size = 0; size < entries.size; ) {
  size = entries.size;
  locations = new Locations(source);
  rmSync(dist, { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(entries),
    outdir: dist,
    bundle: true,
    splitting: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Stack traces should show the names and lines that a reader finds again in the sources.
    minify: false,
    // All files lie in one folder, so that a location relative to any of them is the same.
    entryNames: '[name]',
    chunkNames: 'part-[hash]',
    plugins: [locations.plugin()],
    logLevel: 'warning',
  });
  entries = new Map([...entries, ...locations.entries]);
}
locations.copyAssets(dist);

run('tsc', '--project', 'tsconfig.build.json');
// tsc leaves `.ts` in the imports of declarations, where the package has no such files.
for (const file of globSync('**/*.d.ts', { cwd: dist })) {
  const text = readFileSync(path.join(dist, file), 'utf8');
  writeFileSync(path.join(dist, file), text.replaceAll(/(['"])(\.\.?\/[^'"]+)\.ts\1/g, '$1$2.js$1'));
}

const main = path.join(dist, 'main.js');
const shebang = '#!/usr/bin/env node\n';
if (!readFileSync(main, 'utf8').startsWith(shebang)) throw new Error(`${main} lost its first line.`);
chmodSync(main, 0o755);

// The JSON Schema of the declarative file, for editors. `npm test` knows that it is up to date.
copyFileSync(path.join(root, 'schema/sluice.schema.json'), path.join(dist, 'schema.json'));

function run(command: string, ...args: string[]): void {
  const executable = path.join(root, 'node_modules/.bin', command);
  const { status, error } = spawnSync(executable, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new Error(`${command} failed`, { cause: error });
}
