// The guide's file and commands are run, and what they print stands in the guide.
// `UPDATE=1` writes what they print into it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

const root = path.join(import.meta.dirname, '../..');
const guide = path.join(root, 'docs/guides/explain.md');
const COMMAND = /```console\n\$ sluice (.*)\n([^`]*)```/g;

test('prints what the guide says it prints', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-explain-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const text = readFileSync(guide, 'utf8');
  writeFileSync(path.join(folder, 'sluice.yaml'), /```yaml\n([^`]*)```/.exec(text)![1]);
  const run = (command: string): string => {
    const args = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain);
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      [path.join(root, 'src/main.ts'), ...args],
      {
        cwd: folder,
        encoding: 'utf8',
      },
    );
    assert.equal(status, 0, stderr);
    return stdout;
  };
  let commands = 0;
  const fresh = text.replace(COMMAND, (_block, command: string) => {
    commands++;
    return `\`\`\`console\n$ sluice ${command}\n${run(command)}\`\`\``;
  });
  assert.equal(commands, 3);
  if (process.env.UPDATE === '1') writeFileSync(guide, fresh);
  else assert.equal(text, fresh);
});
