import { renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Scope } from './echo-upstream.ts';
import { eventually } from './eventually.ts';
import { type ProcessOptions, SluiceProcess, temporaryFolder } from './process.ts';

/** A Sluice that serves a declarative file, and the file. */
export interface FileGateway {
  readonly sluice: SluiceProcess;
  readonly folder: string;
  readonly file: string;
  /** Puts another text in the file's place, as an editor does. */
  write(text: string): void;
  /** Waits for a line of its log whose message holds this text, after the `from`th. */
  logged(text: string, from?: number): Promise<void>;
}

/** Writes a file in one step: nobody sees half of it. */
export function place(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** Starts Sluice with a declarative file in a folder of its own. */
export async function startWithFile(
  scope: Scope,
  text: string,
  options: ProcessOptions & {
    readonly name?: string;
    readonly files?: Readonly<Record<string, string>>;
  } = {},
): Promise<FileGateway> {
  const { name = 'sluice.yaml', files = {}, args = [], ...others } = options;
  const folder = temporaryFolder(scope);
  const file = path.join(folder, name);
  for (const [other, content] of Object.entries(files)) writeFileSync(path.join(folder, other), content);
  writeFileSync(file, text);
  const sluice = await SluiceProcess.start(scope, { ...others, args: ['start', '--config', file, ...args] });
  return {
    sluice,
    folder,
    file,
    write: (next) => place(file, next),
    async logged(wanted, from = 0) {
      await eventually(`the log says ${wanted}`, () =>
        sluice.log.slice(from).some(({ message }) => message.includes(wanted)),
      ).catch((error) => {
        throw new Error(`${error.message}: ${sluice.stderr}`);
      });
    },
  };
}
