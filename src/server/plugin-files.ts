// The user's own Plugins, loaded by path. Both the supervisor (to validate) and every worker (to
// run) load them, from the same text: what is in the file may have changed meanwhile.

import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../model/errors.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { resolveOwnName } from '../plugin/own-name.ts';

/** A file of Plugins as it was at one time. */
export interface PluginFile {
  /** Absolute. */
  readonly path: string;
  readonly text: string;
  /** 0 for the first; a changed text needs another number, or the old one is loaded. */
  readonly version: number;
}

/** Reads a file of Plugins. Throws ConfigError when it can't be read. */
export function readPluginFile(path: string, version = 0): PluginFile {
  try {
    return { path, text: readFileSync(path, 'utf8'), version };
  } catch (error) {
    throw new ConfigError(`plugin file ${path} can't be read: ${messageOf(error)}`, { cause: error });
  }
}

/** The Plugins that a file exports, under any name. Throws ConfigError when there are none, or it can't be loaded. */
export async function loadPluginFile(file: PluginFile): Promise<Plugin[]> {
  resolveOwnName();
  const url = pathToFileURL(file.path);
  if (file.version > 0) url.searchParams.set('version', String(file.version));
  serveText(url.href, file.text);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(url.href)) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigError(`plugin file ${file.path} can't be loaded: ${messageOf(error)}`, { cause: error });
  }
  const plugins = Object.values(exported).flat().filter(isPlugin);
  if (plugins.length === 0) {
    throw new ConfigError(
      `plugin file ${file.path} exports no plugin: export what definePlugin({ name, … }) returns`,
    );
  }
  return plugins;
}

const texts = new Map<string, string>();
let hooked = false;

/** Lets the next import of a URL get this text instead of what the file holds by then. */
function serveText(url: string, text: string): void {
  texts.set(url, text);
  if (hooked) return;
  hooked = true;
  registerHooks({
    load(url, context, next) {
      const text = texts.get(url);
      if (text === undefined) return next(url, context);
      texts.delete(url);
      const format = context.format ?? formatOf(url, text);
      return format === undefined ? next(url, context) : { format, source: text, shortCircuit: true };
    },
  });
}

/** What Node would find out by reading the file where no package.json says it. */
function formatOf(url: string, text: string): string | undefined {
  if (!/^\s*(?:import|export)\b/m.test(text)) return undefined;
  return new URL(url).pathname.endsWith('.ts') ? 'module-typescript' : 'module';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
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
