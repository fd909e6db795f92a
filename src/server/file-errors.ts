import { type FileError, formatError } from '../stores/file/file-error.ts';

/** Several things are wrong with a file; each line names file, line, path and reason. */
export class FileErrors extends Error {
  override readonly name = 'FileErrors';
}

const SHOWN = 20;

/** Throws when there are errors in a file. */
export function refuseErrors(file: string, errors: readonly FileError[]): void {
  if (errors.length === 0) return;
  const lines = errors.slice(0, SHOWN).map((error) => `  ${formatError(error)}`);
  if (errors.length > SHOWN) lines.push(`  … and ${errors.length - SHOWN} more`);
  throw new FileErrors(`${file} can't be used:\n${lines.join('\n')}`);
}
