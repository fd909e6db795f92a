// Explains by a configuration that nobody serves at the moment.

import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Configuration } from '../model/configuration.ts';
import { defaultSettings, type Settings } from '../model/settings.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import type { EvaluateOptions } from '../proxy/evaluator.ts';
import type { EvaluationRequest, Explanation } from '../proxy/explanation.ts';
import { createEvaluator } from '../server/create-evaluator.ts';
import { openDataDirectory } from '../server/data-directory.ts';
import { refuseErrors } from '../server/file-errors.ts';
import { createConfiguration } from '../server/gateway.ts';
import { openGeoFiles, readGeoFiles, withGeoFolder } from '../server/geo-files.ts';
import { loadPlugins } from '../server/plugin-set.ts';
import { FileSource } from '../stores/file/file-source.ts';
import { SqliteStore } from '../stores/sqlite/sqlite-store.ts';

/** By a declarative file. */
export async function explainByFile(
  file: string,
  request: EvaluationRequest,
  options: EvaluateOptions,
): Promise<Explanation> {
  const source = await FileSource.load(file);
  source.close();
  const { errors, settings, resources, locate } = source.content;
  refuseErrors(file, errors);
  const folder = path.dirname(path.resolve(file));
  const { plugins } = await loadPlugins(settings.plugins.map((plugin) => path.resolve(folder, plugin)));
  const configuration = await createConfiguration(plugins, randomBytes(32));
  const replaced = configuration.replace(resources);
  if (replaced.ok) configuration.commit(replaced.change);
  else refuseErrors(file, replaced.errors.map(locate));
  return evaluate(configuration, plugins, withGeoFolder(settings, folder), request, options);
}

/** By what a data directory holds. */
export async function explainByStore(
  directory: string,
  request: EvaluationRequest,
  options: EvaluateOptions,
): Promise<Explanation> {
  // Opening one makes it, keys and all, where there is none.
  if (!existsSync(directory)) throw new Error(`there is no data directory ${directory}`);
  const data = await openDataDirectory(directory);
  const store = await SqliteStore.open(data.path);
  try {
    const settings = defaultSettings();
    const { plugins } = await loadPlugins(settings.plugins);
    const configuration = await createConfiguration(plugins, data.encryptionKey);
    const [error] = configuration.load(await store.load());
    if (error !== undefined)
      throw new Error(
        `the configuration in ${directory} can't be used: ${error.kind}/${error.id}: ${error.message}`,
      );
    return await evaluate(configuration, plugins, settings, request, options);
  } finally {
    await store.close();
  }
}

async function evaluate(
  { snapshot }: Configuration,
  plugins: readonly Plugin[],
  settings: Settings,
  request: EvaluationRequest,
  options: EvaluateOptions,
): Promise<Explanation> {
  const geo = await openGeoFiles(await readGeoFiles(settings.geo.databases));
  const evaluator = createEvaluator(snapshot, plugins, settings, undefined, geo);
  try {
    return await evaluator.evaluate(request, options);
  } finally {
    evaluator.dispose();
  }
}
