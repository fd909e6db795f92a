import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Configuration } from '../model/configuration.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { plugins as builtIn } from '../plugins/index.ts';
import type { FileError } from '../stores/file/file-error.ts';
import type { ConfigFile } from '../stores/file/parse.ts';
import { refuseErrors } from './file-errors.ts';
import { createConfiguration, withOwnPlugins } from './gateway.ts';
import { loadPluginFile, type PluginFile, readPluginFile } from './plugin-files.ts';

/** A declarative file with all that it names, checked. */
export interface FileConfiguration {
  readonly configuration: Configuration;
  readonly plugins: readonly Plugin[];
  readonly pluginFiles: readonly PluginFile[];
}

/** Takes a file as it was first read; throws FileErrors with all that is wrong with it. */
export async function checkFile(file: string, content: ConfigFile): Promise<FileConfiguration> {
  refuseErrors(file, content.errors);
  const { settings, resources, locate, errorAt } = content;
  const folder = path.dirname(path.resolve(file));
  const pluginFiles: PluginFile[] = [];
  const errors: FileError[] = [];
  let plugins = builtIn;
  for (const [index, name] of settings.plugins.entries()) {
    try {
      const pluginFile = readPluginFile(path.resolve(folder, name));
      plugins = withOwnPlugins(plugins, await loadPluginFile(pluginFile));
      pluginFiles.push(pluginFile);
    } catch (error) {
      errors.push(errorAt(['plugins', index], error instanceof Error ? error.message : String(error)));
    }
  }
  if (settings.admin.enabled && settings.admin.keys.length === 0) {
    errors.push(errorAt(['admin'], 'admin.enabled wants admin.keys: who may ask?'));
  }
  refuseErrors(file, errors);
  // Nothing of a file is kept, so that no key has to be.
  const configuration = await createConfiguration(plugins, randomBytes(32));
  const replaced = configuration.replace(resources);
  if (replaced.ok) configuration.commit(replaced.change);
  else refuseErrors(file, replaced.errors.map(locate));
  return { configuration, plugins, pluginFiles };
}
