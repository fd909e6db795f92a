import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** A command from outside this project, and the Debian package that brings it. */
export interface NeededCommand {
  readonly command: string;
  readonly debianPackage: string;
  /** What it is needed for, to complete the sentence "nginx is needed to …". */
  readonly purpose: string;
}

/** Debian keeps servers in sbin, which is not on everybody's PATH. */
const MORE_PLACES = ['/usr/sbin', '/sbin'];

/** Where a command is, or undefined. */
export function findCommand(command: string): string | undefined {
  const places = [...(process.env.PATH ?? '').split(path.delimiter), ...MORE_PLACES];
  return places.map((place) => path.join(place, command)).find(isExecutable);
}

/**
 * Returns where the command is. Installs its package first when it is missing, which takes root on a
 * Debian system; otherwise throws an error that says what to do.
 */
export function ensureCommand({ command, debianPackage, purpose }: NeededCommand): string {
  const present = findCommand(command);
  if (present !== undefined) return present;
  const problem = `${command} is needed to ${purpose}`;
  if (process.getuid?.() !== 0 || findCommand('apt-get') === undefined) {
    throw new Error(`${problem}. Install it, on Debian with: sudo apt-get install ${debianPackage}`);
  }
  console.log(`Installing ${debianPackage}: ${problem}…`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Test files that run side by side may want packages at the same moment; apt-get then waits its turn.
  const patiently = ['-o', 'DPkg::Lock::Timeout=120'];
  const install = [...patiently, 'install', '--yes', '--no-install-recommends', debianPackage];
  // A fresh machine has no package lists; a prepared one may be offline and still have the package.
  for (const args of [install, [...patiently, 'update'], install]) {
    spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
    const installed = findCommand(command);
    if (installed !== undefined) return installed;
  }
  throw new Error(`${problem}, and apt-get could not install ${debianPackage}.`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
