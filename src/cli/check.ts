import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { createConfiguration, loadPlugins } from '../server/gateway.ts';
import { formatError } from '../stores/file/file-error.ts';
import type { Command } from './command.ts';
import { explainErrors } from './file-errors.ts';
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
    const full = path.resolve(file);
    const { FileSource } = await import('../stores/file/file-source.ts');
    const source = await FileSource.load(full);
    const { errors, settings, resources, locate } = source.current;
    source.close();
    explainErrors(full, errors.map(formatError));
    const plugins = await loadPlugins(
      settings.plugins.map((plugin) => path.resolve(path.dirname(full), plugin)),
    );
    const configuration = await createConfiguration(plugins, randomBytes(32));
    const replaced = configuration.replace(resources);
    if (!replaced.ok)
      explainErrors(
        full,
        replaced.errors.map((error) => formatError(locate(error))),
      );
    process.stdout.write(
      `${file} is fine: ${resources.length} resource${resources.length === 1 ? '' : 's'}.\n`,
    );
  },
};
