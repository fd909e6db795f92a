import { ConfigError } from '../model/errors.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { plugins as builtIn } from '../plugins/index.ts';
import { loadPluginFile, type PluginFile, readPluginFile } from './plugin-files.ts';

/** All Plugins that may be bound, and the files that the user's own came from. */
export interface PluginSet {
  readonly plugins: readonly Plugin[];
  readonly pluginFiles: readonly PluginFile[];
}

export const BUILT_IN: PluginSet = { plugins: builtIn, pluginFiles: [] };

/** A set with the Plugins of one more file. Throws ConfigError when it can't be loaded, or a name is taken. */
export async function withPluginFile(set: PluginSet, path: string): Promise<PluginSet> {
  const file = readPluginFile(path);
  const plugins = [...set.plugins];
  for (const plugin of await loadPluginFile(file)) {
    if (plugins.some(({ name }) => name === plugin.name)) {
      throw new ConfigError(`plugin ${plugin.name} exists already; give your own another name`);
    }
    plugins.push(plugin);
  }
  return { plugins, pluginFiles: [...set.pluginFiles, file] };
}

/** The built-in Plugins and those of some files, by absolute path. */
export async function loadPlugins(paths: readonly string[]): Promise<PluginSet> {
  let set = BUILT_IN;
  for (const path of paths) set = await withPluginFile(set, path);
  return set;
}
