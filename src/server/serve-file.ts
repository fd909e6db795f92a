import path from 'node:path';
import type { AdminServerOptions } from '../admin/admin-server.ts';
import { deepEqual } from '../lib/json.ts';
import { ConfigError } from '../model/errors.ts';
import { parseAddress } from '../model/listen-address.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';
import { formatError } from '../stores/file/file-error.ts';
import { FileSource } from '../stores/file/file-source.ts';
import { adminKeys } from './admin-keys.ts';
import { announce } from './announce.ts';
import { checkFile } from './file-configuration.ts';
import { Gateway } from './gateway.ts';
import { withGeoFolder } from './geo-files.ts';
import { obeySignals } from './obey-signals.ts';
import { watchPluginFiles } from './plugin-watcher.ts';
import type { Predecessor } from './predecessor.ts';
import { withoutEffect } from './without-effect.ts';

/** Serves a declarative file and follows its changes. `adjust` lets the command line have the last word. */
export async function serveFile(
  file: string,
  adjust: (settings: Settings) => Settings,
  version: string,
  log: Logger,
  predecessor: Predecessor,
): Promise<void> {
  const source = await FileSource.load(file);
  const settings = withGeoFolder(adjust(source.content.settings), path.dirname(path.resolve(file)));
  const { configuration, plugins, pluginFiles } = await checkFile(file, source.content, settings);
  const folder = path.dirname(path.resolve(file));
  const gateway = await Gateway.start({
    settings,
    version,
    log,
    configuration,
    plugins,
    pluginFiles,
    dataDirectory: settings.data_dir,
    predecessor,
    folder,
  });
  const lines: [string, string][] = [['config', file]];
  const admin = settings.admin.enabled
    ? await startReadOnlyAdmin(file, gateway, settings, log, predecessor)
    : undefined;
  if (admin !== undefined) lines.push(['Admin API', `http://${admin.at}/apisix/admin (to read)`]);
  announce(version, gateway, settings, lines);
  for (const line of withoutEffect(source.content.resources, settings)) log.warn(line);

  const started = source.content.settings;
  const apply = async (): Promise<void> => {
    const { errors, resources, locate, settings: wanted } = source.content;
    const next = errors.length > 0 ? undefined : configuration.replace(resources);
    const problems = next?.ok === false ? next.errors.map(locate) : errors;
    for (const problem of problems) {
      log.error(`configuration refused, the old one stays: ${formatError(problem)}`);
    }
    if (!next?.ok) return;
    const waiting = changedSettings(started, wanted);
    if (waiting.length > 0) log.warn(`changes of ${waiting.join(', ')} take effect at the next start`);
    if (next.change.revision === configuration.revision) return;
    configuration.commit(next.change);
    await gateway.broadcast(next.change);
    for (const line of withoutEffect(next.change.puts, settings)) log.warn(line);
    log.info('configuration reloaded', { revision: configuration.revision });
  };
  source.watch(() => void apply());
  const stopWatching = watchPluginFiles(pluginFiles, gateway, log);
  process.on('SIGHUP', () => {
    void gateway.telemetry?.reopen();
    void source.reload();
  });
  obeySignals(log, {
    sockets: () => [...gateway.sockets, ...(admin === undefined ? [] : [admin.socket])],
    async stop(stopping) {
      source.close();
      stopWatching();
      await Promise.all([admin?.close(stopping), gateway.stop(stopping)]);
    },
  });
  predecessor.ready();
}

/** The names of settings that a changed file has changed: they are read at start only. */
function changedSettings(before: Settings, after: Settings): string[] {
  return Object.entries(after)
    .filter(([name, value]) => !deepEqual(value, before[name as keyof Settings]))
    .map(([name]) => name);
}

async function startReadOnlyAdmin(
  file: string,
  gateway: Gateway,
  settings: Settings,
  log: Logger,
  predecessor: Predecessor,
) {
  const [
    { startAdmin },
    { explainEndpoint },
    { healthcheckEndpoint },
    { cacheEndpoint },
    { discoveryEndpoint },
  ] = await Promise.all([
    import('./admin-listener.ts'),
    import('../admin/explain-endpoint.ts'),
    import('../admin/healthcheck-endpoint.ts'),
    import('../admin/cache-endpoint.ts'),
    import('../admin/discovery-endpoint.ts'),
  ]);
  const { address, allow } = settings.admin;
  const options: AdminServerOptions = {
    configuration: gateway.configuration,
    store: {
      write: () =>
        Promise.reject(
          new ConfigError(`the configuration comes from ${path.basename(file)}; change it there`),
        ),
    },
    broadcast: (change) => gateway.broadcast(change),
    extensions: {
      explain: explainEndpoint(async (request) => ({ ...(await gateway.explain(request)) })),
      healthcheck: healthcheckEndpoint(gateway.configuration, () => gateway.health),
      caches: cacheEndpoint(gateway.caches),
      discovery: discoveryEndpoint(() => gateway.services),
    },
    keys: adminKeys(settings),
    allow,
    log,
  };
  return startAdmin(parseAddress(address), options, predecessor);
}
