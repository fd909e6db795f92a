import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { checkWords } from './check-words.ts';

const problemsOf = (file: string, text: string) => checkWords(new Map([[file, text]])).problems;

describe('refuses a planted', () => {
  const violations: readonly (readonly [name: string, file: string, text: string])[] = [
    ['backend in a page', 'docs/a.md', 'Requests go to the backend.'],
    ['backend in a name', 'src/a.ts', 'const backendUrl = 1;'],
    ['upstream node in a page', 'docs/a.md', 'Every upstream node is asked.'],
    ['node in a name', 'src/a.ts', 'const pickedNode = pick();'],
    ['node as a parameter', 'src/a.ts', 'function pick(node: string) {}'],
    ['middleware', 'README.md', 'A middleware adds it.'],
    ['API key consumer', 'docs/a.md', 'Make an API key consumer.'],
    ['cfg', 'src/a.ts', 'let cfg = 1;'],
    ['synonym after a block of code', 'docs/a.md', '```sh\na\n```\nthe backend'],
  ];
  for (const [name, file, text] of violations) {
    test(name, () => assert.equal(problemsOf(file, text).length, 1));
  }
});

describe('lets pass', () => {
  const allowed: readonly (readonly [name: string, file: string, text: string])[] = [
    ['the field nodes', 'src/a.ts', 'const { nodes } = upstream;'],
    ['a field on the wire', 'src/a.ts', "const host = value.node ?? 'backend';"],
    ['the program Node in prose', 'docs/a.md', 'Node 26 runs it, with `node src/main.ts`.'],
    ['imports of Node', 'src/a.ts', "import { test } from 'node:test';"],
    ['comments', 'src/a.ts', '// Other gateways say backend.\nconst a = 1;'],
    ['code in a page', 'docs/a.md', '```yaml\nbackend: 1\n```\n`backend`'],
    ["a tree's nodes", 'src/lib/path-tree.ts', 'const node = 1;'],
  ];
  for (const [name, file, text] of allowed) {
    test(name, () => assert.deepEqual(problemsOf(file, text), []));
  }
});

test('names the place and what to say instead', () => {
  assert.deepEqual(problemsOf('docs/a.md', 'one\nthe backend'), [
    'docs/a.md:2: backend; say Upstream, Target or Store',
  ]);
});

test('fails when it saw nothing', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'words-'));
  mkdirSync(path.join(folder, 'tools'));
  cpSync(path.join(import.meta.dirname, 'check-words.ts'), path.join(folder, 'tools/check-words.ts'));
  const { status, stdout } = spawnSync(process.execPath, [path.join(folder, 'tools/check-words.ts')]);
  rmSync(folder, { recursive: true });
  assert.match(String(stdout), /^0 pages, 0 sources/);
  assert.equal(status, 1);
});
