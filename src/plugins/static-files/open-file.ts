import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

const fs = process.getBuiltinModule('node:fs');

/** A file that is open, and its version. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
  /** Unix nanoseconds. */
  readonly modified: bigint;
}

/** Where symbolic links may lead: nowhere, not out of the root, anywhere. */
export type Symlinks = 'deny' | 'inside' | 'follow';

/** Nothing is there, or nothing that may be seen. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EINVAL', 'ENXIO', 'ENODEV']);
const FORBIDDEN = new Set(['EACCES', 'EPERM']);

/**
 * Opens a file below a root: the file, `directory` where there is one, `absent` or `forbidden`.
 * Rejects for what is not the request's fault, as when the system has no more descriptors.
 */
export async function openFile(
  root: string,
  names: readonly string[],
  symlinks: Symlinks,
): Promise<OpenFile | 'directory' | 'absent' | 'forbidden'> {
  const file = path.join(root, ...names);
  let handle: FileHandle | undefined;
  try {
    // A pipe would make us wait for its other end.
    handle = await fs.promises.open(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    const stat = await handle.stat({ bigint: true });
    const found = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : 'absent';
    const seen = found !== 'absent' && (await mayBeSeen(root, file, symlinks, stat));
    if (found === 'file' && seen) {
      const opened = { handle, size: Number(stat.size), modified: stat.mtimeNs };
      handle = undefined;
      return opened;
    }
    return found === 'directory' && seen ? 'directory' : 'absent';
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (ABSENT.has(code)) return 'absent';
    if (FORBIDDEN.has(code)) return 'forbidden';
    throw error;
  } finally {
    await handle?.close();
  }
}

/** Whether what was opened lies where links may lead; what was opened, not what has come in its place. */
async function mayBeSeen(
  root: string,
  file: string,
  symlinks: Symlinks,
  opened: { readonly dev: bigint; readonly ino: bigint },
): Promise<boolean> {
  if (symlinks === 'follow') return true;
  const [realRoot, realFile] = await Promise.all([fs.promises.realpath(root), fs.promises.realpath(file)]);
  const relative = path.relative(realRoot, realFile);
  if (relative === '..' || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative)) return false;
  if (symlinks === 'deny' && relative !== path.relative(path.resolve(root), path.resolve(file))) return false;
  const { dev, ino } = await fs.promises.lstat(realFile, { bigint: true });
  return dev === opened.dev && ino === opened.ino;
}
