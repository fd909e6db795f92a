import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { refuseErrors } from '../server/file-errors.ts';
import { createConfiguration, loadPlugins } from '../server/gateway.ts';
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
    const { errors, settings, resources, locate } = source.content;
    refuseErrors(file, errors);
    const folder = path.dirname(path.resolve(file));
    const plugins = await loadPlugins(settings.plugins.map((plugin) => path.resolve(folder, plugin)));
    const configuration = await createConfiguration(plugins, randomBytes(32));
    const replaced = configuration.replace(resources);
    if (!replaced.ok) refuseErrors(file, replaced.errors.map(locate));
    for (const line of withoutEffect(resources)) process.stderr.write(`warning: ${line}\n`);
    process.stdout.write(
      `${file} is fine: ${resources.length} resource${resources.length === 1 ? '' : 's'}.\n`,
    );
  },
};
