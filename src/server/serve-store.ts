import path from 'node:path';
import { explainEndpoint } from '../admin/explain-endpoint.ts';
import { healthcheckEndpoint } from '../admin/healthcheck-endpoint.ts';
import { parseAddress } from '../model/listen-address.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';
import { SqliteStore } from '../stores/sqlite/sqlite-store.ts';
import { startAdmin } from './admin-listener.ts';
import { announce, shown } from './announce.ts';
import { openDataDirectory } from './data-directory.ts';
import { createConfiguration, Gateway } from './gateway.ts';
import { loadPlugins } from './plugin-set.ts';
import { watchPluginFiles } from './plugin-watcher.ts';
import { catchAll } from './serve-upstream.ts';
import { stopOnSignals } from './stop-on-signals.ts';
import { withoutEffect } from './without-effect.ts';

/** Serves what the Admin API is told, kept in a data directory. */
export async function serveStore(
  directory: string,
  upstream: string | undefined,
  settings: Settings,
  version: string,
  log: Logger,
): Promise<void> {
  const { plugins, pluginFiles } = await loadPlugins(settings.plugins);
  const data = await openDataDirectory(path.resolve(directory));
  const store = await SqliteStore.open(data.path);
  const configuration = await createConfiguration(plugins, data.encryptionKey);
  const errors = configuration.load(await store.load());
  if (errors.length > 0) {
    await store.close();
    const [{ kind, id, message }] = errors;
    throw new Error(`the configuration in ${shown(data.path)} can't be used: ${kind}/${id}: ${message}`);
  }
  if (upstream !== undefined) {
    const plan = configuration.plan({ type: 'put', ...catchAll(upstream) });
    if (!plan.ok) throw new Error(plan.message);
    await store.write(configuration.sealed(plan.change));
    configuration.commit(plan.change);
  }
  const gateway = await Gateway.start({
    settings,
    version,
    log,
    configuration,
    plugins,
    pluginFiles,
  });
  const { keys: configured, allow, address } = settings.admin;
  const admin = await startAdmin(parseAddress(address), {
    configuration,
    store,
    broadcast(change) {
      for (const line of withoutEffect(change.puts, settings)) log.warn(line);
      return gateway.broadcast(change);
    },
    extensions: {
      explain: explainEndpoint(async (request) => ({ ...(await gateway.explain(request)) })),
      healthcheck: healthcheckEndpoint(configuration, () => gateway.health),
    },
    keys: configured.length > 0 ? configured : [{ name: 'admin', key: data.adminKey.key, role: 'admin' }],
    allow,
    log,
  });
  const keyFile = shown(path.join(data.path, 'admin.key'));
  const fromEnvironment = (process.env.SLUICE_ADMIN_KEY ?? '') !== '';
  const key = fromEnvironment
    ? 'from SLUICE_ADMIN_KEY'
    : data.adminKey.fresh
      ? `${data.adminKey.key}  (kept in ${keyFile}; shown this once)`
      : `in ${keyFile}`;
  const keyText = fromEnvironment ? '$SLUICE_ADMIN_KEY' : `$(cat ${keyFile})`;
  announce(version, gateway, settings, [
    ['Admin API', `http://${admin.at}/apisix/admin`],
    ['admin key', key],
    ['data', shown(data.path)],
    [
      'try',
      `curl -i http://${admin.at}/apisix/admin/routes/hello -H "X-API-KEY: ${keyText}" -X PUT -d '{"uri": "/*", "upstream": {"nodes": {"127.0.0.1:8080": 1}}}'`,
    ],
  ]);
  for (const line of withoutEffect(configuration.snapshot.all(), settings)) log.warn(line);
  const stopWatching = watchPluginFiles(pluginFiles, gateway, log);
  process.on('SIGHUP', () => void gateway.telemetry?.reopen());
  stopOnSignals(log, async () => {
    stopWatching();
    await Promise.all([admin.close(), gateway.stop()]);
    await store.close();
  });
}
