/** The way to a value: names of members and positions in lists. */
export type Path = readonly (string | number)[];

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** What is wrong with a configuration file. Holds no secret. */
export interface FileError extends Partial<Position> {
  /** As the file was named to us. */
  readonly file: string;
  /** Path to the offending value, for example `routes[3].plugins.limit-count.count`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/** One line: `file:line:column: path: message`, without what is not known. */
export function formatError({ file, line, column, path, message }: FileError): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  const text = path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`;
  return text.replaceAll(/\s*[\r\n]+\s*/g, ' ');
}

/** `['routes', 3, 'plugins']` as `routes[3].plugins`; names that need it are quoted in brackets. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\w$-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
