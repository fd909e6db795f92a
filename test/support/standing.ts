import type { WrittenResource } from '../../src/model/configuration.ts';
import { plugins } from '../../src/plugins/index.ts';
import { openDataDirectory } from '../../src/server/data-directory.ts';
import { createConfiguration } from '../../src/server/gateway.ts';
import { SqliteStore } from '../../src/stores/sqlite/sqlite-store.ts';

/** Fills a data directory without the Admin API: what took thousands of calls to grow. */
export async function fillDataDirectory(
  directory: string,
  resources: readonly WrittenResource[],
): Promise<void> {
  const data = await openDataDirectory(directory);
  const store = await SqliteStore.open(data.path);
  const configuration = await createConfiguration(plugins, data.encryptionKey);
  const replaced = configuration.replace(resources);
  if (!replaced.ok) throw new Error(replaced.errors[0].message);
  await store.write(configuration.sealed(replaced.change));
  await store.close();
}
