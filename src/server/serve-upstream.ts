import { randomBytes } from 'node:crypto';
import type { WrittenResource } from '../model/configuration.ts';
import { ConfigError } from '../model/errors.ts';
import type { Settings } from '../model/settings.ts';
import type { Logger } from '../plugin/kit.ts';
import { announce, reachable } from './announce.ts';
import { createConfiguration, Gateway } from './gateway.ts';
import { obeySignals } from './obey-signals.ts';
import { loadPlugins } from './plugin-set.ts';
import type { Predecessor } from './predecessor.ts';

/** Sends everything to one Upstream: no file, no database, no Admin API. */
export async function serveUpstream(
  upstream: string,
  settings: Settings,
  version: string,
  log: Logger,
  predecessor: Predecessor,
): Promise<void> {
  const { plugins, pluginFiles } = await loadPlugins(settings.plugins);
  const configuration = await createConfiguration(plugins, randomBytes(32));
  const replaced = configuration.replace([catchAll(upstream)]);
  if (!replaced.ok) throw new ConfigError(replaced.errors[0].message);
  configuration.commit(replaced.change);
  const gateway = await Gateway.start({
    settings,
    version,
    log,
    configuration,
    plugins,
    pluginFiles,
    dataDirectory: settings.data_dir,
    predecessor,
  });
  announce(version, gateway, settings, [
    ['upstream', upstream],
    ['try', `curl -i ${reachable(gateway, settings)}/`],
    ['grow', `sluice start ${upstream} --admin`],
  ]);
  process.on('SIGHUP', () => void gateway.telemetry?.reopen());
  obeySignals(log, {
    sockets: () => gateway.sockets,
    stop: (stopping) => gateway.stop(stopping),
  });
  predecessor.ready();
}

/** The Route that takes what no other takes. */
export function catchAll(upstream: string): WrittenResource {
  let url: URL;
  try {
    url = new URL(upstream.includes('://') ? upstream : `http://${upstream}`);
  } catch {
    throw new ConfigError(
      `UPSTREAM must be like https://api.example.com or http://127.0.0.1:8080; got ${upstream}`,
    );
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') {
    throw new ConfigError(`UPSTREAM must be http:// or https://; got ${upstream}`);
  }
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new ConfigError('UPSTREAM is scheme, host and port only, without path, query or user');
  }
  const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
  return {
    kind: 'routes',
    id: 'default',
    value: {
      uri: '/*',
      name: 'default',
      desc: 'Everything that no other Route takes.',
      enable_websocket: true,
      upstream: {
        scheme,
        pass_host: 'node',
        type: 'roundrobin',
        nodes: [{ host: url.hostname.replace(/^\[|\]$/g, ''), port, weight: 1 }],
      },
    },
  };
}
