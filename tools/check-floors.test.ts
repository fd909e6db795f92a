import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { checkFloors } from './check-floors.ts';

function problemsOf(file: string, text: string): readonly string[] {
  return checkFloors(new Map([[file, text]])).problems;
}

describe('refuses a planted violation:', () => {
  const violations: readonly (readonly [name: string, file: string, text: string])[] = [
    ['lib that imports model', 'lib/ring.ts', "import { KINDS } from '../model/resource.ts';"],
    [
      'model that imports plugin',
      'model/routes.ts',
      "import type { Plugin } from '../plugin/define-plugin.ts';",
    ],
    [
      'a plugin that imports its neighbour',
      'plugins/cors/cors.ts',
      "import { a } from '../key-auth/key-auth.ts';",
    ],
    ['a plugin that imports the list', 'plugins/cors/cors.ts', "import { plugins } from '../index.ts';"],
    ['proxy that imports a plugin', 'proxy/compile.ts', "import { cors } from '../plugins/cors/cors.ts';"],
    ['proxy that imports a store', 'proxy/compile.ts', "import type { A } from '../stores/file/file.ts';"],
    [
      'proxy that imports the value of a balancer',
      'proxy/upstream.ts',
      "import { a } from '../balancers/ewma.ts';",
    ],
    ['admin that imports proxy', 'admin/server.ts', "import type { Runtime } from '../proxy/runtime.ts';"],
    [
      'admin that imports the value of a store',
      'admin/server.ts',
      "import { a, type B } from '../stores/sqlite/a.ts';",
    ],
    ['a re-export', 'lib/ring.ts', "export * from '../model/resource.ts';"],
    [
      'an import of several lines',
      'lib/ring.ts',
      "import {\n  KINDS,\n  type Kind,\n} from '../model/resource.ts';",
    ],
    ['a lazy import', 'lib/ring.ts', "const a = await import('../model/resource.ts');"],
    ['an import for its effect', 'lib/ring.ts', "import '../model/resource.ts';"],
    ['an import from outside of src', 'lib/ring.ts', "import { run } from '../../tools/step.ts';"],
    ['a folder without a floor', 'surprise/a.ts', "import { b } from '../lib/b.ts';"],
    ['a file named after nothing', 'lib/utils.ts', ''],
    ['a folder named after nothing', 'admin/helpers/page.ts', ''],
    ['a default export', 'lib/ring.ts', 'export default 1;'],
  ];
  for (const [name, file, text] of violations) {
    test(name, () => assert.equal(problemsOf(file, text).length, 1));
  }
});

describe('lets pass', () => {
  const allowed: readonly (readonly [name: string, file: string, text: string])[] = [
    ['a plugin that imports itself', 'plugins/cors/cors.ts', "import { a } from './origin.ts';"],
    ['the list of plugins', 'plugins/index.ts', "import { cors } from './cors/cors.ts';"],
    [
      'the types of a balancer in proxy',
      'proxy/upstream.ts',
      "import type { A } from '../balancers/ewma.ts';",
    ],
    [
      'an inline type of a store in admin',
      'admin/a.ts',
      "import { type A, type B } from '../stores/file/a.ts';",
    ],
    ['an interface file in proxy', 'proxy/upstream.ts', "import { a } from '../balancers/balancer.ts';"],
    ['everything in main.ts', 'main.ts', "import { a } from './proxy/runtime.ts';"],
    ['everything in cli', 'cli/start.ts', "import { a } from '../stores/file/file.ts';"],
  ];
  for (const [name, file, text] of allowed) {
    test(name, () => {
      const { problems, edges } = checkFloors(new Map([[file, text]]));
      assert.deepEqual(problems, []);
      assert.equal(edges, 1);
    });
  }
});

test('names the importer and the imported in the problem', () => {
  assert.deepEqual(problemsOf('lib/ring.ts', "import { a } from '../model/a.ts';"), [
    'lib/ring.ts imports model/a.ts: lib/ must not know model/.',
  ]);
});

test('warns of a file with more than 400 lines', () => {
  const { warnings, problems } = checkFloors(new Map([['lib/long.ts', '\n'.repeat(401)]]));
  assert.equal(warnings.length, 1);
  assert.deepEqual(problems, []);
});

test('fails when it saw nothing', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'floors-'));
  mkdirSync(path.join(folder, 'src'));
  mkdirSync(path.join(folder, 'tools'));
  cpSync(path.join(import.meta.dirname, 'check-floors.ts'), path.join(folder, 'tools/check-floors.ts'));
  const { status, stdout } = spawnSync(process.execPath, [path.join(folder, 'tools/check-floors.ts')]);
  rmSync(folder, { recursive: true });
  assert.match(String(stdout), /^0 files, 0 imports/);
  assert.equal(status, 1);
});
