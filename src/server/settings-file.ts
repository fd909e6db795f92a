import path from 'node:path';
import type { Settings } from '../model/settings.ts';
import { FileSource } from '../stores/file/file-source.ts';
import { refuseErrors } from './file-errors.ts';
import { withGeoFolder } from './geo-files.ts';

/**
 * Reads how the process runs from a file, where the resources are kept in a store. Throws FileErrors
 * with all that is wrong with it, resources among them: they would be there twice.
 */
export async function loadSettings(file: string): Promise<Settings> {
  const { content } = await FileSource.load(file);
  refuseErrors(file, content.errors);
  const [stray] = content.resources;
  if (stray !== undefined) {
    refuseErrors(file, [
      content.errorAt(
        [stray.kind],
        'a settings file has no resources: the Admin API keeps them. Serve them from a file with --config instead',
      ),
    ]);
  }
  const folder = path.dirname(path.resolve(file));
  const { settings } = content;
  const { file: services } = settings.discovery;
  return {
    ...withGeoFolder(settings, folder),
    plugins: settings.plugins.map((name) => path.resolve(folder, name)),
    discovery: {
      ...settings.discovery,
      ...(services !== undefined && { file: { path: path.resolve(folder, services.path) } }),
    },
  };
}
