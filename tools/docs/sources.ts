// What the reference is generated from, as far as the generator needs to know it.
import { existsSync, readFileSync } from 'node:fs';
import { glob } from 'node:fs/promises';
import path from 'node:path';
import { root } from '../step.ts';

/** A JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface DocumentedPlugin {
  readonly name: string;
  readonly summary: string;
  readonly priority: number;
  readonly config: JsonSchema;
  readonly metadata?: JsonSchema;
  readonly credential?: { readonly config: JsonSchema };
  /** Present where it asks the telemetry to keep something of each request. */
  readonly observe?: unknown;
  /** Folder in src/plugins/. */
  readonly folder: string;
  readonly phases: readonly string[];
}

export interface DocumentedResource {
  readonly kind: string;
  readonly noun: string;
  readonly summary: string;
  readonly schema: JsonSchema;
  readonly unsupported: readonly string[];
  readonly plugins: 'bindings' | 'consumer' | 'credential' | 'none';
}

export interface Sources {
  /** In the order in which they run: by priority, and by name where it is the same. */
  readonly plugins: readonly DocumentedPlugin[];
  readonly resources: readonly DocumentedResource[];
  /** What the declarative file says besides resources. */
  readonly settings: JsonSchema | undefined;
}

const PHASES = ['rewrite', 'access', 'beforeProxy', 'responseHeaders', 'responseBody', 'log'] as const;

export async function readSources(): Promise<Sources> {
  const pluginList = await load<{ plugins: readonly Omit<DocumentedPlugin, 'folder' | 'phases'>[] }>(
    'src/plugins/index.ts',
  );
  const plugins: DocumentedPlugin[] = [];
  for (const plugin of pluginList?.plugins ?? []) {
    plugins.push({ ...plugin, folder: plugin.name, phases: await phasesOf(plugin.name) });
  }
  plugins.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
  const resourceList = await load<{ resources: Readonly<Record<string, DocumentedResource>> }>(
    'src/model/resources.ts',
  );
  const settings = await load<{ settings: JsonSchema }>('src/model/settings.ts');
  return {
    plugins,
    resources: Object.values(resourceList?.resources ?? {}),
    settings: settings?.settings,
  };
}

/** A module of src/, or undefined while there is none. */
async function load<T>(file: string): Promise<T | undefined> {
  const place = path.join(root, file);
  return existsSync(place) ? await import(place) : undefined;
}

/**
 * The phases that a Plugin can have, read from its sources: which it has depends on the config, and
 * the docs are about all of them.
 */
async function phasesOf(folder: string): Promise<string[]> {
  let text = '';
  for await (const file of glob(`src/plugins/${folder}/*.ts`, { cwd: root })) {
    if (!file.endsWith('.test.ts')) text += readFileSync(path.join(root, file), 'utf8');
  }
  // A handler is a method, a property, or an assignment to the object of handlers.
  return PHASES.filter((phase) =>
    new RegExp(
      `(?:^|[{,]|\\basync)\\s*${phase}\\s*(?:\\([^()]*\\)\\s*(?::[^{]*)?\\{|:(?!\\s*kit\\b)|,$)|\\.${phase}\\s*=`,
      'm',
    ).test(text),
  );
}
