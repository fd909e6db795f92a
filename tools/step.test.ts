import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { commandStep, nodeTestStep, type StepResult } from './step.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'step-'));
after(() => rmSync(folder, { recursive: true }));

/** Runs the tests of one planted file. */
function runFile(name: string, text: string): Promise<StepResult> {
  const file = path.join(folder, name);
  writeFileSync(file, `import { describe, test } from 'node:test';\n${text}`);
  return nodeTestStep('Planted', { files: [file], concurrency: 1 }).run();
}

test('counts what passed, failed and was skipped, and tells the failure and the reason', async () => {
  const { details, ...counts } = await runFile(
    'mixed.test.mjs',
    `describe('a suite is not counted', () => {
       test('holds', () => {});
       test('breaks', () => { console.log('seen on the way'); throw new Error('planted'); });
       test('rests', { skip: 'on Sundays' }, () => {});
     });`,
  );
  assert.deepEqual(counts, { passed: 1, failed: 1, skipped: 1 });
  assert.match(details, /✘ breaks\n.*mixed\.test\.mjs:4/);
  assert.match(details, /Error: planted/);
  assert.match(details, /seen on the way/);
  assert.match(details, /rests: on Sundays/);
});

test('counts a test that never ends as failed', async () => {
  const { failed, details } = await runFile(
    'endless.test.mjs',
    `test('waits', { timeout: 20 }, () => new Promise((resolve) => setTimeout(resolve, 60)));`,
  );
  assert.equal(failed, 1);
  assert.match(details, /waits/);
});

test('counts a file that breaks while loading as failed', async () => {
  const { failed, details } = await runFile('broken.test.mjs', `throw new Error('planted');`);
  assert.equal(failed, 1);
  assert.match(details, /planted/);
});

test('counts a process that exits too early as failed', async () => {
  const { failed } = await runFile('early.test.mjs', `test('never gets there', () => process.exit(3));`);
  assert.ok(failed > 0);
});

test('counts a file without tests as failed', async () => {
  const { passed, failed, details } = await runFile('empty.test.mjs', 'describe;');
  assert.deepEqual({ passed, failed }, { passed: 0, failed: 1 });
  assert.match(details, /holds no tests/);
});

test('fails when no file matches, or no command is there', async () => {
  const nothing = nodeTestStep('Nothing', {
    files: [path.join(folder, 'nothing/*.test.mjs')],
    concurrency: 1,
  });
  assert.equal((await nothing.run()).failed, 1);
  assert.equal((await commandStep('Absent', 'no-such-command').run()).failed, 1);
});

test('a command step holds when the command exits with 0, and else tells what it printed', async () => {
  assert.deepEqual(await commandStep('Fine', 'node', '--eval', '1').run(), {
    passed: 1,
    failed: 0,
    skipped: 0,
    details: '',
  });
  const bad = await commandStep('Bad', 'node', '--eval', 'console.log("why"); process.exit(2)').run();
  assert.equal(bad.failed, 1);
  assert.equal(bad.details, 'why\n');
});
