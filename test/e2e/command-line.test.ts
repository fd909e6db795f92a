import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');

function sluice(...args: string[]) {
  return spawnSync(process.execPath, [path.join(root, 'src/main.ts'), ...args], { encoding: 'utf8' });
}

test('says its version', () => {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const { stdout, status } = sluice('--version');
  assert.equal(status, 0);
  assert.ok(stdout.includes(version), stdout);
});

test('says what it can do', () => {
  const { stdout, status } = sluice('--help');
  assert.equal(status, 0);
  assert.match(stdout, /sluice/);
  assert.match(stdout, /--version/);
});

test('refuses a command it does not know, on stderr', () => {
  const { stderr, stdout, status } = sluice('strat');
  assert.notEqual(status, 0);
  assert.equal(stdout, '');
  assert.match(stderr, /strat/);
});
