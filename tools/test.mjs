// The door of `npm test`: plain JavaScript, so that any Node from 20 on can open it.
//
// Right after a clone there are no dependencies, and therefore neither the pinned Node nor the type
// stripping that tools/test.ts relies on. This file installs them with `npm ci` when they are
// missing or older than the lock file, then hands over to the pinned Node.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const modules = path.join(root, 'node_modules');
const pinnedNode = path.join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

/** Versions by path in node_modules, without the packages that other platforms need. */
function versions(lockFile) {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'));
  return Object.entries(packages)
    .filter(([place, { optional }]) => place !== '' && optional !== true)
    .map(([place, { version }]) => `${place} ${version}`);
}

function isStale() {
  if (!existsSync(pinnedNode)) return true;
  const installed = path.join(modules, '.package-lock.json');
  if (!existsSync(installed)) return true;
  const have = new Set(versions(installed));
  return versions(path.join(root, 'package-lock.json')).some((wanted) => !have.has(wanted));
}

const isLink = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() === true;

if (isStale() && isLink) {
  // `npm ci` would empty the folder behind the link, which belongs to another checkout.
  console.error('node_modules is a link, and what is behind it does not match package-lock.json.');
} else if (isStale()) {
  console.log('Installing the dependencies (npm ci)…');
  const { status } = spawnSync('npm', ['ci', '--no-progress'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    console.error('npm ci failed; nothing was tested.\n\n0 passed, 1 failed');
    process.exit(1);
  }
  if (!existsSync(pinnedNode)) {
    console.error('npm ci did not bring the pinned Node: npm may have blocked its install script.');
    console.error('Allow it (allowScripts in package.json) and run `npm ci`.\n\n0 passed, 1 failed');
    process.exit(1);
  }
}

const { status, signal } = spawnSync(
  pinnedNode,
  [path.join(root, 'tools', 'test.ts'), ...process.argv.slice(2)],
  { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' },
);
if (signal !== null) console.error(`Stopped by ${signal}.`);
process.exit(status ?? 1);
