import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

/**
 * Gives a finished file its name, durably, unless the name is taken; the temporary name is gone
 * afterwards. Both must be in one folder.
 *
 * A rename would replace the file of a process that was a moment faster, and that process would go
 * on with content that nobody finds again. A hard link fails instead.
 *
 * @returns whether the name was free
 */
export function placeFile(temporary: string, file: string): boolean {
  let placed = true;
  try {
    linkSync(temporary, file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') placed = false;
    // Some file systems (FAT, some network shares) know no links; there the risk remains.
    else if (code === 'EPERM' || code === 'ENOTSUP' || code === 'ENOSYS') renameSync(temporary, file);
    else throw error;
  }
  rmSync(temporary, { force: true });
  syncFolder(path.dirname(file));
  return placed;
}

/** Without this, a power loss may take the name of a file whose content is safe. */
function syncFolder(folder: string): void {
  // Windows opens no folders, and keeps names in its journal anyway.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
