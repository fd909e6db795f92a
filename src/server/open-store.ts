import path from 'node:path';
import type { Configuration } from '../model/configuration.ts';
import type { SharedStore, Store } from '../model/store.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import type { Logger } from '../plugin/kit.ts';
import { shown } from './announce.ts';
import { type DataDirectory, givenKeys, openDataDirectory } from './data-directory.ts';
import { createConfiguration } from './gateway.ts';
import { LentStore } from './lent-store.ts';

/** Where a configuration that the Admin API writes is kept. */
export interface StorePlace {
  /** The data directory; with a database it may hold the keys. */
  readonly directory: string;
  /** A PostgreSQL database's address, in place of the one in the data directory. */
  readonly database: string | undefined;
}

export interface OpenedStore {
  readonly store: Store | SharedStore;
  /** Holds what the Store holds. */
  readonly configuration: Configuration;
  readonly adminKey: DataDirectory['adminKey'];
  /** For people. */
  readonly shown: string;
}

/** Opens the Store and loads what it holds. @throws Error that says what to do */
export async function openStore(
  place: StorePlace,
  plugins: readonly Plugin[],
  log: Logger,
): Promise<OpenedStore> {
  const opened =
    place.database === undefined
      ? await openSqlite(place.directory, plugins)
      : await openPostgres(place.directory, place.database, plugins, log);
  const { store, configuration } = opened;
  const errors = configuration.load(await store.load());
  if (errors.length === 0) return opened;
  await store.close();
  const [{ kind, id, message }] = errors;
  throw new Error(`the configuration in ${opened.shown} can't be used: ${kind}/${id}: ${message}`);
}

async function openSqlite(directory: string, plugins: readonly Plugin[]): Promise<OpenedStore> {
  const { path: folder, adminKey, encryptionKey } = await openDataDirectory(path.resolve(directory));
  const { SqliteStore } = await import('../stores/sqlite/sqlite-store.ts');
  const open = () => SqliteStore.open(folder);
  const store = new LentStore(await open(), open);
  const configuration = await createConfiguration(plugins, encryptionKey);
  return { store, configuration, adminKey, shown: shown(folder) };
}

async function openPostgres(
  directory: string,
  database: string,
  plugins: readonly Plugin[],
  log: Logger,
): Promise<OpenedStore> {
  const { adminKey, encryptionKey } = givenKeys(directory);
  const [{ PostgresStore }, { parseDatabaseAddress }] = await Promise.all([
    import('../stores/postgres/postgres-store.ts'),
    import('../stores/postgres/database-address.ts'),
  ]);
  const address = parseDatabaseAddress(database);
  const configuration = await createConfiguration(plugins, encryptionKey);
  const keyCheck = configuration.sealing.seal('sluice', 'key check', 'store');
  const store = await PostgresStore.open(address, { log, keyCheck });
  return { store, configuration, adminKey, shown: address.shown };
}
