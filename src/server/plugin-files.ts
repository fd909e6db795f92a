// The user's own Plugins, loaded by path. Both the supervisor (to validate) and every worker (to
// run) load them.

import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../model/errors.ts';
import type { Plugin } from '../plugin/define-plugin.ts';

let hooked = false;

/** Lets a file outside this package say `import … from 'sluice'` and get this very package. */
function hookOwnName(): void {
  if (hooked) return;
  hooked = true;
  const own = new URL('../index.ts', import.meta.url).href;
  // In the package all code lies in one folder of built files.
  const target = import.meta.url.endsWith('.ts') ? own : new URL('./index.js', import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'sluice' ? { url: target, shortCircuit: true } : next(specifier, context),
  });
}

/** The Plugins that a file exports, under any name. `version` makes a changed file load anew. */
export async function loadPluginFile(file: string, version = 0): Promise<Plugin[]> {
  hookOwnName();
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
