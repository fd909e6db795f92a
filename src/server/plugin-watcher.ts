import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../plugin/kit.ts';
import type { Gateway } from './gateway.ts';
import { loadPluginFile, type PluginFile, readPluginFile } from './plugin-files.ts';

/** Milliseconds between looks at the user's Plugin files. */
const INTERVAL = 500;

/**
 * Follows changes of the user's own Plugin files: a changed one is loaded here first, checked
 * against what is configured, and only then brought to the workers. Returns how to stop.
 */
export function watchPluginFiles(files: readonly PluginFile[], gateway: Gateway, log: Logger): () => void {
  let version = 0;
  const onChange = async (path: string): Promise<void> => {
    try {
      const file = readPluginFile(path, ++version);
      const changed = await loadPluginFile(file);
      const errors = gateway.replacePlugins(changed);
      if (errors.length > 0) {
        for (const error of errors) log.error(`plugin file ${path} refused, the old one stays: ${error}`);
        return;
      }
      gateway.workers.reloadPlugin(file);
      log.info('plugin file reloaded', { file: path });
    } catch (error) {
      log.error(`${error instanceof Error ? error.message : error}; the old one stays`);
    }
  };
  for (const { path } of files) {
    watchFile(path, { interval: INTERVAL, persistent: false }, (now, before) => {
      if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) void onChange(path);
    });
  }
  return () => {
    for (const { path } of files) unwatchFile(path);
  };
}
