import path from 'node:path';
import { parseAddress } from '../model/listen-address.ts';
import type { Settings } from '../model/settings.ts';
import { StderrLogger } from '../server/logger.ts';
import { PidFile } from '../server/pid-file.ts';
import { Predecessor } from '../server/predecessor.ts';
import type { Command, CommandOptions } from './command.ts';
import { roleOf } from './role.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

type Options = CommandOptions;

export const start: Command = {
  name: 'start',
  usage:
    'sluice start [UPSTREAM] [--config FILE | --settings FILE] [--data DIR] [--store URL] [--workers N] [--listen ADDRESS] [--admin]',
  summary: 'Starts the gateway.',
  details: `With nothing else it serves what the Admin API is told, kept in --data (default ./.sluice).
With UPSTREAM (http://host:port or https://host) everything goes there; add --admin to grow from it.
With --config it serves a declarative file and follows its changes; no database, and no Admin API
unless the file asks for one.`,
  options: {
    config: {
      type: 'string',
      short: 'c',
      value: 'FILE',
      description: 'declarative file: .yaml, .json, .ts or .js',
    },
    settings: {
      type: 'string',
      value: 'FILE',
      description: 'listeners and limits from a file, resources from the Admin API',
    },
    data: {
      type: 'string',
      short: 'd',
      value: 'DIR',
      description: 'where configuration and keys are kept (default ./.sluice)',
    },
    store: {
      type: 'string',
      value: 'URL',
      description:
        'a PostgreSQL database in place of the one in --data: postgres://user@host/name ($SLUICE_STORE)',
    },
    role: {
      type: 'string',
      value: 'ROLE',
      description:
        "'control-plane': configures data planes; 'data-plane': is configured by one (default: both in one)",
    },
    'control-plane': {
      type: 'string',
      multiple: true,
      value: 'URL',
      description:
        'for a data plane: whom to follow, https://host:9190; further ones for when the first is away',
    },
    'cluster-listen': {
      type: 'string',
      value: 'ADDRESS',
      description: 'for a control plane: where data planes connect (default 127.0.0.1:9190)',
    },
    'cluster-cert': {
      type: 'string',
      value: 'FILE',
      description: 'by what the others of the cluster know this one',
    },
    'cluster-key': { type: 'string', value: 'FILE', description: 'its private key' },
    'cluster-ca': { type: 'string', value: 'FILE', description: 'who vouches for the others' },
    workers: {
      type: 'string',
      short: 'w',
      value: 'N',
      description: 'threads that carry traffic (default: one per core)',
    },
    listen: {
      type: 'string',
      short: 'l',
      value: 'ADDRESS',
      description: 'where traffic is accepted (default 127.0.0.1:9080)',
    },
    'admin-listen': {
      type: 'string',
      value: 'ADDRESS',
      description: 'where the Admin API is (default 127.0.0.1:9180)',
    },
    'metrics-listen': {
      type: 'string',
      value: 'ADDRESS',
      description: "where metrics are (default 127.0.0.1:9091), or 'off'",
    },
    plugin: {
      type: 'string',
      multiple: true,
      value: 'FILE',
      description: 'a Plugin of your own, .ts or .js; may be given several times',
    },
    'pid-file': {
      type: 'string',
      value: 'FILE',
      description: 'where the number of the process is kept while it serves',
    },
    admin: { type: 'boolean', description: 'with UPSTREAM: the Admin API, too' },
    'access-log': {
      type: 'string',
      value: 'PATH',
      description: "a file, '-' for stdout (the default), or 'off'",
    },
  },
  async run(positionals, options) {
    const [upstream, ...rest] = positionals;
    if (rest.length > 0) throw new UsageError(`one UPSTREAM only; what is ${rest[0]}?`);
    if (upstream !== undefined && options.config !== undefined) {
      throw new UsageError('UPSTREAM and --config exclude each other; name the Upstream in the file');
    }
    if (options.settings !== undefined && options.config !== undefined) {
      throw new UsageError('--settings and --config exclude each other; --config reads settings, too');
    }
    if (options.store !== undefined && (upstream ?? options.config) !== undefined) {
      throw new UsageError(
        '--store goes with neither UPSTREAM nor --config; its content is written by the Admin API',
      );
    }
    const database = String(options.store ?? process.env.SLUICE_STORE ?? '') || undefined;
    const log = new StderrLogger();
    const pidFile = options['pid-file'];
    const predecessor = Predecessor.find(typeof pidFile === 'string' ? new PidFile(pidFile) : undefined);
    const adjust = (settings: Settings) => adjusted(settings, options);
    if (options.config !== undefined) {
      const { serveFile } = await import('../server/serve-file.ts');
      return serveFile(String(options.config), adjust, version, log, predecessor);
    }
    const settings = adjust(await baseSettings(options));
    const directory = String(options.data ?? settings.data_dir);
    const role = roleOf(options, upstream ?? options.config ?? options.admin);
    if (role?.name === 'data-plane') {
      const { serveDataPlane } = await import('../server/serve-data-plane.ts');
      return serveDataPlane({ ...role, directory, settings, version, log, predecessor });
    }
    if (upstream !== undefined && options.admin !== true && options.data === undefined) {
      const { serveUpstream } = await import('../server/serve-upstream.ts');
      return serveUpstream(upstream, settings, version, log, predecessor);
    }
    const { serveStore } = await import('../server/serve-store.ts');
    return serveStore({ directory, database, upstream, cluster: role, settings, version, log, predecessor });
  },
};

async function baseSettings({ settings: file }: Options): Promise<Settings> {
  if (file !== undefined) {
    const { loadSettings } = await import('../server/settings-file.ts');
    return loadSettings(String(file));
  }
  const { defaultSettings } = await import('../model/settings.ts');
  return defaultSettings();
}

/** What the command line says wins over what is configured. */
function adjusted(settings: Settings, options: Options): Settings {
  const workers = options.workers === undefined ? settings.workers : Number(options.workers);
  if (!Number.isInteger(workers) || workers < 0 || workers > 127) {
    throw new UsageError(
      `--workers must be a number from 1 to 127, or 0 for one per core; got ${options.workers}`,
    );
  }
  const listen = addressOption(options, 'listen');
  const adminListen = addressOption(options, 'admin-listen');
  const noMetrics = options['metrics-listen'] === 'off';
  const metricsListen = noMetrics ? undefined : addressOption(options, 'metrics-listen');
  const accessLog = options['access-log'];
  const own = Array.isArray(options.plugin) ? options.plugin.map((file) => path.resolve(file)) : [];
  return {
    ...settings,
    workers,
    plugins: [...settings.plugins, ...own],
    ...(listen !== undefined && { listeners: [{ address: listen }] }),
    admin: { ...settings.admin, ...(adminListen !== undefined && { address: adminListen }) },
    metrics: {
      ...settings.metrics,
      ...(noMetrics && { enabled: false }),
      ...(metricsListen !== undefined && { address: metricsListen }),
    },
    access_log: { ...settings.access_log, ...(typeof accessLog === 'string' && { path: accessLog }) },
  };
}

function addressOption(options: Options, name: string): string | undefined {
  const given = options[name];
  if (typeof given !== 'string') return undefined;
  try {
    parseAddress(given);
  } catch (error) {
    throw new UsageError(`--${name}: ${error instanceof Error ? error.message : error}`);
  }
  return given;
}
