import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Configuration } from '../model/configuration.ts';
import type { Settings } from '../model/settings.ts';
import type { FileError } from '../stores/file/file-error.ts';
import type { ConfigFile } from '../stores/file/parse.ts';
import { adminKeys } from './admin-keys.ts';
import { refuseErrors } from './file-errors.ts';
import { createConfiguration } from './gateway.ts';
import { readGeoFile } from './geo-files.ts';
import { BUILT_IN, type PluginSet, withPluginFile } from './plugin-set.ts';

/** A declarative file with all that it names, checked. */
export interface FileConfiguration extends PluginSet {
  readonly configuration: Configuration;
}

/**
 * Takes a file as it was first read; throws FileErrors with all that is wrong with it. `settings` are
 * the file's, unless the command line had a say.
 */
export async function checkFile(
  file: string,
  content: ConfigFile,
  settings: Settings = content.settings,
): Promise<FileConfiguration> {
  refuseErrors(file, content.errors);
  const { resources, locate, errorAt } = content;
  const folder = path.dirname(path.resolve(file));
  const errors: FileError[] = [];
  let set = BUILT_IN;
  for (const [index, name] of settings.plugins.entries()) {
    try {
      set = await withPluginFile(set, path.resolve(folder, name));
    } catch (error) {
      errors.push(errorAt(['plugins', index], error instanceof Error ? error.message : String(error)));
    }
  }
  for (const [index, name] of settings.geo.databases.entries()) {
    try {
      await readGeoFile(path.resolve(folder, name));
    } catch (error) {
      errors.push(errorAt(['geo', 'databases', index], (error as Error).message));
    }
  }
  if (settings.admin.enabled && adminKeys(settings).length === 0) {
    errors.push(errorAt(['admin'], 'the Admin API wants keys, or SLUICE_ADMIN_KEY in the environment'));
  }
  refuseErrors(file, errors);
  // Nothing of a file is kept, so that no key has to be.
  const configuration = await createConfiguration(set.plugins, randomBytes(32));
  const replaced = configuration.replace(resources);
  if (replaced.ok) configuration.commit(replaced.change);
  else refuseErrors(file, replaced.errors.map(locate));
  return { configuration, ...set };
}
