import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { cpuSeconds, processTree, residentMegabytes } from './process-tree.ts';

const onLinux = process.platform === 'linux' ? false : 'only Linux has /proc';

test('a tree has the processes that its root started, with their memory and CPU', {
  skip: onLinux,
}, async () => {
  const child = spawn('sh', ['-c', 'sleep 60 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [line] = await once(child.stdout, 'data');
    const tree = processTree(child.pid!);
    assert.deepEqual(tree, [child.pid, Number(line)]);
    assert.ok(residentMegabytes(tree) > residentMegabytes([child.pid!]));
    assert.ok(cpuSeconds(tree) < cpuSeconds([process.pid]));
    process.kill(Number(line));
    await once(child, 'close');
    assert.throws(() => cpuSeconds(tree), /has ended/);
  } finally {
    child.kill('SIGKILL');
  }
});
