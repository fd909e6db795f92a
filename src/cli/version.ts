import { readFileSync } from 'node:fs';

const description = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  readonly version: string;
};

/** The package's version. */
export const { version } = description;
