import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { plugins } from './index.ts';

const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .sort();

test('every folder is a Plugin of the list, with all that belongs to one', () => {
  assert.deepEqual(folders, plugins.map(({ name }) => name).sort());
  for (const name of folders) {
    for (const part of [`${name}.ts`, `${name}.test.ts`, 'README.md', 'example.yaml']) {
      assert.ok(existsSync(path.join(import.meta.dirname, name, part)), `${name}/${part} is missing`);
    }
  }
});
