import { checkFile } from '../server/file-configuration.ts';
import { withoutEffect } from '../server/without-effect.ts';
import { FileSource } from '../stores/file/file-source.ts';
import type { Command } from './command.ts';
import { UsageError } from './usage-error.ts';

export const check: Command = {
  name: 'check',
  usage: 'sluice check FILE',
  summary: 'Checks a declarative file as start would, and starts nothing.',
  details:
    'Exit status 0: the file can be served. 1: it can not; each error names file, line, path and reason.',
  options: {},
  async run([file, ...rest]) {
    if (file === undefined || rest.length > 0) throw new UsageError('check wants one FILE');
    const source = await FileSource.load(file);
    source.close();
    const { content } = source;
    await checkFile(file, content);
    for (const line of withoutEffect(content.resources, content.settings))
      process.stderr.write(`warning: ${line}\n`);
    const { length } = content.resources;
    process.stdout.write(`${file} is fine: ${length} resource${length === 1 ? '' : 's'}.\n`);
  },
};
