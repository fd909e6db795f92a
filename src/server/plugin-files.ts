// The user's own Plugins, loaded by path. Both the supervisor (to validate) and every worker (to
// run) load them.

import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../model/errors.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { resolveOwnName } from '../plugin/own-name.ts';

/** The Plugins that a file exports, under any name. `version` makes a changed file load anew. */
export async function loadPluginFile(file: string, version = 0): Promise<Plugin[]> {
  if (!existsSync(file)) throw new ConfigError(`plugin file ${file} does not exist`);
  resolveOwnName();
  const url = pathToFileURL(file);
  if (version > 0) url.searchParams.set('version', String(version));
  let exported: Record<string, unknown>;
  try {
    exported = (await import(url.href)) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(
      `plugin file ${file} can't be loaded: ${error instanceof Error ? error.message : error}`,
      {
        cause: error,
      },
    );
  }
  const plugins = Object.values(exported).flat().filter(isPlugin);
  if (plugins.length === 0) {
    throw new ConfigError(
      `plugin file ${file} exports no plugin: export what definePlugin({ name, … }) returns`,
    );
  }
  return plugins;
}

function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false;
  const { name, priority, config, create } = value as Partial<Plugin>;
  return (
    typeof name === 'string' &&
    typeof priority === 'number' &&
    typeof config === 'object' &&
    typeof create === 'function'
  );
}
