import path from 'node:path';

/** Several things are wrong with a file; each line names file, line, path and reason. */
export class FileErrors extends Error {
  override readonly name = 'FileErrors';
}

/** Throws when there are errors in a file. */
export function explainErrors(file: string, errors: readonly string[]): void {
  if (errors.length === 0) return;
  const shown = errors.slice(0, 20);
  const more = errors.length - shown.length;
  throw new FileErrors(
    `${path.relative(process.cwd(), file)} can't be used:\n${shown.map((line) => `  ${line}`).join('\n')}${more > 0 ? `\n  … and ${more} more` : ''}`,
  );
}
