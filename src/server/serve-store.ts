import path from 'node:path';
import type { AdminServerOptions } from '../admin/admin-server.ts';
import { cacheEndpoint } from '../admin/cache-endpoint.ts';
import { discoveryEndpoint } from '../admin/discovery-endpoint.ts';
import { explainEndpoint } from '../admin/explain-endpoint.ts';
import { healthcheckEndpoint } from '../admin/healthcheck-endpoint.ts';
import { arrival } from '../model/arrival.ts';
import { parseAddress } from '../model/listen-address.ts';
import type { Resource } from '../model/resource.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';
import { startAdmin } from './admin-listener.ts';
import { announce, shown } from './announce.ts';
import { Gateway } from './gateway.ts';
import { LentStore } from './lent-store.ts';
import { obeySignals } from './obey-signals.ts';
import { openStore, type StorePlace } from './open-store.ts';
import { loadPlugins } from './plugin-set.ts';
import { watchPluginFiles } from './plugin-watcher.ts';
import { handedSocket, type Predecessor, socketName } from './predecessor.ts';
import { type ClusterOptions, prepareCluster } from './serve-cluster.ts';
import { catchAll } from './serve-upstream.ts';
import { withoutEffect } from './without-effect.ts';

export interface ServeStoreOptions extends StorePlace {
  /** Where what no Route takes is sent; written as a Route before anything is served. */
  readonly upstream: string | undefined;
  /** For a control plane, which carries no traffic itself: where and how its data planes connect. */
  readonly cluster?: ClusterOptions | undefined;
  readonly settings: Settings;
  readonly version: string;
  readonly log: Logger;
  readonly predecessor: Predecessor;
}

/** Serves what the Admin API is told, kept in a Store. */
export async function serveStore(options: ServeStoreOptions): Promise<void> {
  const { upstream, cluster: clusterOptions, version, log, predecessor } = options;
  const settings = clusterOptions === undefined ? options.settings : { ...options.settings, listeners: [] };
  const { plugins, pluginFiles } = await loadPlugins(settings.plugins);
  // What the process before this one holds, this one can't open.
  await predecessor.letGo();
  const { store, configuration, adminKey, shown: place } = await openStore(options, plugins, log);
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
    dataDirectory: options.directory,
    predecessor,
  });
  const warn = (resources: readonly Resource[]) => {
    // What has an effect is for those to say who carry the traffic.
    if (clusterOptions !== undefined) return;
    for (const line of withoutEffect(resources, settings)) log.warn(line);
  };
  const cluster = clusterOptions && (await prepareCluster(configuration.snapshot));
  const { keys: configured, allow, address } = settings.admin;
  const adminOptions: AdminServerOptions = {
    configuration,
    store,
    broadcast(change) {
      warn(change.puts);
      cluster?.history.record(change);
      return gateway.broadcast(change);
    },
    extensions: {
      explain: explainEndpoint(async (request) => ({ ...(await gateway.explain(request)) })),
      healthcheck: healthcheckEndpoint(configuration, () => gateway.health),
      caches: cacheEndpoint(gateway.caches),
      ...cluster?.extensions,
      discovery: discoveryEndpoint(() => gateway.services),
    },
    keys: configured.length > 0 ? configured : [{ name: 'admin', key: adminKey.key, role: 'admin' }],
    allow,
    log,
  };
  const admin = await startAdmin(parseAddress(address), adminOptions, predecessor);
  const clusterName = clusterOptions && socketName('cluster', clusterOptions.listen);
  const clusterServer = await cluster?.listen(
    { ...clusterOptions!, fd: predecessor.take(clusterName!)?.fds[0] },
    () => admin.admin.writer.refresh(),
    log,
  );
  const keyFile = shown(path.join(path.resolve(options.directory), 'admin.key'));
  const fromEnvironment = (process.env.SLUICE_ADMIN_KEY ?? '') !== '';
  const key = fromEnvironment
    ? 'from SLUICE_ADMIN_KEY'
    : adminKey.fresh
      ? `${adminKey.key}  (kept in ${keyFile}; shown this once)`
      : `in ${keyFile}`;
  const keyText = fromEnvironment ? '$SLUICE_ADMIN_KEY' : `$(cat ${keyFile})`;
  announce(version, gateway, settings, [
    ['Admin API', `http://${admin.at}/apisix/admin`],
    ...(clusterServer === undefined ? [] : [['data planes', `https://${clusterServer.at}`] as const]),
    ['admin key', key],
    [options.database === undefined ? 'data' : 'store', place],
    [
      'try',
      `curl -i http://${admin.at}/apisix/admin/routes/hello -H "X-API-KEY: ${keyText}" -X PUT -d '{"uri": "/*", "upstream": {"nodes": {"127.0.0.1:8080": 1}}}'`,
    ],
  ]);
  warn(configuration.snapshot.all());
  const stopWatching = watchPluginFiles(pluginFiles, gateway, log);
  process.on('SIGHUP', () => {
    void gateway.telemetry?.reopen();
    clusterServer?.reloadCertificates();
  });
  obeySignals(log, {
    sockets: () => [
      ...gateway.sockets,
      admin.socket,
      ...(clusterServer === undefined ? [] : [handedSocket(clusterName!, clusterServer.server)]),
    ],
    async stop(stopping) {
      stopWatching();
      await Promise.all([clusterServer?.close(), admin.close(stopping), gateway.stop(stopping)]);
      await store.close();
    },
    ...(store instanceof LentStore && {
      letGo: () => store.letGo(),
      async takeBack() {
        const content = await store.takeBack();
        if (content.revision === configuration.revision) return;
        // The new process had written before it failed.
        const change = arrival(configuration, content);
        configuration.commit(change);
        await adminOptions.broadcast(change);
      },
    }),
  });
  predecessor.ready();
}
