import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../plugin/kit.ts';
import type { Gateway } from './gateway.ts';
import { loadPluginFile } from './plugin-files.ts';

/** Milliseconds between looks at the user's Plugin files. */
const INTERVAL = 500;

/**
 * Follows changes of the user's own Plugin files: a changed one is loaded here first, checked
 * against what is configured, and only then brought to the workers. Returns how to stop.
 */
export function watchPluginFiles(files: readonly string[], gateway: Gateway, log: Logger): () => void {
  let version = 0;
  const onChange = async (file: string): Promise<void> => {
    const next = ++version;
    try {
      const changed = await loadPluginFile(file, next);
      const errors = gateway.replacePlugins(changed);
      if (errors.length > 0) {
        for (const error of errors) log.error(`plugin file ${file} refused, the old one stays: ${error}`);
        return;
      }
      gateway.workers.reloadPlugin(file, next);
      log.info('plugin file reloaded', { file });
    } catch (error) {
      log.error(`${error instanceof Error ? error.message : error}; the old one stays`);
    }
  };
  for (const file of files) {
    watchFile(file, { interval: INTERVAL, persistent: false }, (now, before) => {
      if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) void onChange(file);
    });
  }
  return () => {
    for (const file of files) unwatchFile(file);
  };
}
