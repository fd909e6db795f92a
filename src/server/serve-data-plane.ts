import { hostname } from 'node:os';
import path from 'node:path';
import type { CertificateFiles } from '../cluster/certificate-files.ts';
import { ControlPlaneClient } from '../cluster/control-plane-client.ts';
import { Follower } from '../cluster/follower.ts';
import { SnapshotFile } from '../cluster/snapshot-file.ts';
import type { Change } from '../model/change.ts';
import type { Resource } from '../model/resource.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';
import { announce } from './announce.ts';
import { openEncryptionKey, openInstanceName } from './data-directory.ts';
import { createConfiguration, Gateway } from './gateway.ts';
import { obeySignals } from './obey-signals.ts';
import { loadPlugins } from './plugin-set.ts';
import { watchPluginFiles } from './plugin-watcher.ts';
import type { Predecessor } from './predecessor.ts';
import { withoutEffect } from './without-effect.ts';

export interface ServeDataPlaneOptions {
  readonly controlPlanes: readonly string[];
  readonly certificates: CertificateFiles;
  /** Where the last good configuration is kept, and the key that seals the secrets in it. */
  readonly directory: string;
  readonly settings: Settings;
  readonly version: string;
  readonly log: Logger;
  readonly predecessor: Predecessor;
}

/** So long a control plane has to answer before the configuration on disk is served. */
const PATIENCE_MS = 3_000;

/**
 * Carries traffic as a control plane says. It accepts no connections but traffic (and those for
 * metrics): what it needs to know, it asks for.
 */
export async function serveDataPlane(options: ServeDataPlaneOptions): Promise<void> {
  const { settings, version, log, predecessor } = options;
  const { plugins, pluginFiles } = await loadPlugins(settings.plugins);
  const client = new ControlPlaneClient(options.controlPlanes, options.certificates);
  const folder = path.resolve(options.directory);
  const configuration = await createConfiguration(plugins, openEncryptionKey(folder));
  const instance = openInstanceName(folder);
  const startedAt = Math.floor(Date.now() / 1000);
  const warn = (resources: readonly Resource[]) => {
    for (const line of withoutEffect(resources, settings)) log.warn(line);
  };
  let gateway: Gateway | undefined;
  const follower = new Follower({
    configuration,
    client,
    file: new SnapshotFile(path.join(folder, 'snapshot.jsonl')),
    log,
    async apply(change: Change) {
      warn(change.puts);
      await gateway?.broadcast(change);
    },
    about: () => ({
      instance,
      host: hostname(),
      version,
      started_at: startedAt,
      workers: [...(gateway?.workers.revisions ?? [])],
      worker_restarts: gateway?.workers.restarts ?? 0,
    }),
    onState: () => report(),
  });
  const report = () => {
    const { isConnected, stale: isStale } = follower;
    gateway?.telemetry?.report({ controlPlane: { isConnected, isStale } });
    gateway?.tellReadiness();
  };
  process.on('SIGHUP', () => void gateway?.telemetry?.reopen());
  obeySignals(log, {
    sockets: () => gateway?.sockets ?? [],
    letGo: () => follower.letGo(),
    async takeBack() {
      follower.takeBack();
    },
    async stop(stopping) {
      await Promise.all([follower.close(), gateway?.stop(stopping)]);
    },
  });
  // One process at a time writes the configuration on disk.
  await predecessor.letGo();
  if (!(await follower.begin(PATIENCE_MS)) && !(await follower.beginFromDisk())) {
    log.warn('nothing is served before a control plane gives a configuration');
    await follower.begin(Number.POSITIVE_INFINITY);
  }
  const isStale = () => follower.stale;
  gateway = await Gateway.start({
    settings,
    version,
    log,
    configuration,
    plugins,
    pluginFiles,
    dataDirectory: folder,
    isStale,
    predecessor,
  });
  report();
  announce(version, gateway, settings, [
    ['config', `revision ${configuration.revision} ${follower.stale ? 'from disk' : `from ${client.at}`}`],
  ]);
  const stopWatching = watchPluginFiles(pluginFiles, gateway, log);
  predecessor.ready();
  await follower.run();
  stopWatching();
}
