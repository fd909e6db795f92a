// A Plugin is an island: it imports lib, model, plugin and its own folder, and never a neighbour. What
// two Plugins share moves down a floor and gets a name of its own.

import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { plugins } from './index.ts';

const SOURCES = join(import.meta.dirname, '..');
const IMPORT = /^\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** The folders below `src` that a file in a Plugin's folder may not import from, as it does. */
function forbiddenImports(plugin: string, file: string, text: string): string[] {
  const allowed = ['lib/', 'model/', 'plugin/', `plugins/${plugin}/`];
  return [...text.matchAll(IMPORT)]
    .map((match) => match[1] ?? match[2])
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(SOURCES, join(file, '..', specifier)))
    .filter((target) => !allowed.some((folder) => target.startsWith(folder)));
}

const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

test('no Plugin imports a neighbour or a floor above', () => {
  const found: string[] = [];
  let imports = 0;
  for (const plugin of folders) {
    for (const name of globSync('**/*.ts', { cwd: join(import.meta.dirname, plugin) })) {
      const file = join(import.meta.dirname, plugin, name);
      const text = readFileSync(file, 'utf8');
      imports += [...text.matchAll(IMPORT)].length;
      for (const target of forbiddenImports(plugin, file, text)) {
        found.push(`${relative(SOURCES, file)} imports ${target}`);
      }
    }
  }
  assert.deepEqual(found, []);
  assert.ok(imports > 10, 'the check saw no imports, so it checked nothing');
});

describe('the check', () => {
  const file = join(SOURCES, 'plugins/cors/cors.ts');
  for (const [name, text] of [
    ['an import of a neighbour', "import { a } from '../mocking/mocking.ts';"],
    ['an import over several lines', "import {\n  a,\n  b,\n} from '../mocking/mocking.ts';"],
    ['an import of a type', "import type { A } from '../mocking/mocking.ts';"],
    ['a re-export', "export * from '../mocking/mocking.ts';"],
    ['a dynamic import', "const a = await import('../mocking/mocking.ts');"],
    ['an import of a floor above', "import { router } from '../../proxy/router.ts';"],
  ]) {
    test(`finds ${name}`, () => {
      assert.equal(forbiddenImports('cors', file, text).length, 1);
    });
  }

  test('lets the floors below and the own folder be', () => {
    const text =
      "import { a } from '../../lib/a.ts';\nimport { b } from './b.ts';\nimport assert from 'node:assert';";
    assert.deepEqual(forbiddenImports('cors', file, text), []);
  });
});

test('every folder is a Plugin of the list, with all that belongs to one', () => {
  assert.deepEqual(folders, plugins.map(({ name }) => name).sort());
  for (const name of folders) {
    for (const part of [`${name}.ts`, `${name}.test.ts`, 'README.md', 'example.yaml']) {
      assert.ok(existsSync(join(import.meta.dirname, name, part)), `${name}/${part} is missing`);
    }
  }
});
