import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { styleText } from 'node:util';
import type { WrittenResource } from '../model/configuration.ts';
import { ConfigError } from '../model/errors.ts';
import { parseAddress, type Settings } from '../model/settings.ts';
import { createConfiguration, Gateway, loadPlugins } from '../server/gateway.ts';
import { StderrLogger } from '../server/logger.ts';
import { formatError } from '../stores/file/file-error.ts';
import type { FileSource } from '../stores/file/file-source.ts';
import type { Command } from './command.ts';
import { defaultSettings } from './default-settings.ts';
import { explainErrors } from './file-errors.ts';
import { UsageError } from './usage-error.ts';
import { version } from './version.ts';

export const start: Command = {
  name: 'start',
  usage: 'sluice start [UPSTREAM] [--config FILE] [--data DIR] [--workers N] [--listen ADDRESS] [--admin]',
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
    data: {
      type: 'string',
      short: 'd',
      value: 'DIR',
      description: 'where configuration and keys are kept (default ./.sluice)',
    },
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
    admin: { type: 'boolean', description: 'with UPSTREAM: the Admin API, too' },
    'access-log': {
      type: 'string',
      value: 'PATH',
      description: "a file, '-' for stdout (default), or 'off'",
    },
  },
  async run(positionals, options) {
    const [upstream, ...rest] = positionals;
    if (rest.length > 0) throw new UsageError(`one UPSTREAM only; what is ${rest[0]}?`);
    if (upstream !== undefined && options.config !== undefined) {
      throw new UsageError('UPSTREAM and --config exclude each other; name the Upstream in the file');
    }
    const log = new StderrLogger();
    if (options.config !== undefined)
      return startFromFile(path.resolve(String(options.config)), options, log);
    const settings = settingsFrom(defaultSettings(), options);
    if (upstream !== undefined && options.admin !== true && options.data === undefined) {
      return startFromUpstream(upstream, settings, log);
    }
    return startFromStore(upstream, settings, options, log);
  },
};

type Options = Readonly<Record<string, string | boolean | undefined>>;

/** What the command line says wins over what is configured. */
function settingsFrom(settings: Settings, options: Options): Settings {
  const workers = options.workers === undefined ? settings.workers : Number(options.workers);
  if (!Number.isInteger(workers) || workers < 0 || workers > 127) {
    throw new UsageError(
      `--workers must be a number from 1 to 127, or 0 for one per core; got ${options.workers}`,
    );
  }
  const listen = options.listen === undefined ? undefined : String(options.listen);
  const adminListen = options['admin-listen'] === undefined ? undefined : String(options['admin-listen']);
  for (const address of [listen, adminListen]) if (address !== undefined) checkAddress(address);
  return {
    ...settings,
    workers,
    ...(listen !== undefined && { listeners: [{ address: listen }] }),
    admin: { ...settings.admin, ...(adminListen !== undefined && { address: adminListen }) },
    access_log: {
      ...settings.access_log,
      ...(options['access-log'] !== undefined && { path: String(options['access-log']) }),
    },
  };
}

function checkAddress(address: string): void {
  try {
    parseAddress(address);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function startFromUpstream(upstream: string, settings: Settings, log: StderrLogger): Promise<void> {
  const configuration = await createConfiguration(await loadPlugins([]), randomBytes(32));
  const replaced = configuration.replace([catchAll(upstream)]);
  if (!replaced.ok) throw new UsageError(replaced.errors[0].message);
  configuration.commit(replaced.change);
  const gateway = await Gateway.start({ settings, version, log, configuration, pluginFiles: [] });
  announce(gateway, settings, [
    ['upstream', upstream],
    ['try', `curl -i http://${reachable(gateway, settings)}/`],
    ['grow', `sluice start ${upstream} --admin`],
  ]);
  stopOnSignals(log, () => gateway.stop());
}

async function startFromStore(
  upstream: string | undefined,
  settings: Settings,
  options: Options,
  log: StderrLogger,
): Promise<void> {
  const [{ openDataDirectory }, { SqliteStore }, { startAdmin }] = await Promise.all([
    import('../server/data-directory.ts'),
    import('../stores/sqlite/sqlite-store.ts'),
    import('../server/admin-listener.ts'),
  ]);
  const data = await openDataDirectory(path.resolve(String(options.data ?? settings.data_dir)));
  const store = await SqliteStore.open(data.path);
  const pluginFiles = settings.plugins;
  const plugins = await loadPlugins(pluginFiles);
  const configuration = await createConfiguration(plugins, data.encryptionKey);
  const errors = configuration.load(await store.load());
  if (errors.length > 0) {
    const [{ kind, id, message }] = errors;
    await store.close();
    throw new Error(`the stored configuration can't be used: ${kind}/${id}: ${message}`);
  }
  if (upstream !== undefined) {
    const { kind, id, value } = catchAll(upstream);
    const plan = configuration.plan({ type: 'put', kind, id, value });
    if (!plan.ok) throw new UsageError(plan.message);
    await store.write(configuration.sealed(plan.change));
    configuration.commit(plan.change);
  }
  const gateway = await Gateway.start({ settings, version, log, configuration, pluginFiles });
  const keys =
    settings.admin.keys.length > 0
      ? settings.admin.keys
      : [{ name: 'admin', key: data.adminKey.key, role: 'admin' as const }];
  const admin = await startAdmin(parseAddress(settings.admin.address), {
    configuration,
    store,
    broadcast: (change) => gateway.broadcast(change),
    keys,
    allow: settings.admin.allow,
    log,
  });
  const adminAt = admin.at;
  const keyFile = path.relative(process.cwd(), path.join(data.path, 'admin.key'));
  const key =
    process.env.SLUICE_ADMIN_KEY !== undefined
      ? 'from SLUICE_ADMIN_KEY'
      : data.adminKey.fresh
        ? `${data.adminKey.key}  (kept in ${keyFile}, shown this once)`
        : `in ${keyFile}`;
  announce(gateway, settings, [
    ['Admin API', `http://${adminAt}/apisix/admin`],
    ['admin key', key],
    ['data', path.relative(process.cwd(), data.path) || data.path],
    [
      'try',
      `curl -i http://${adminAt}/apisix/admin/routes/hello -H "X-API-KEY: $(cat ${keyFile})" -X PUT -d '{"uri": "/*", "upstream": {"nodes": {"127.0.0.1:8080": 1}}}'`,
    ],
  ]);
  stopOnSignals(log, async () => {
    await admin.close();
    await gateway.stop();
    await store.close();
  });
  process.on('SIGHUP', () => void gateway.telemetry?.reopen());
}

async function startFromFile(file: string, options: Options, log: StderrLogger): Promise<void> {
  const { FileSource } = await import('../stores/file/file-source.ts');
  const source: FileSource = await FileSource.load(file);
  const { errors, resources, locate } = source.current;
  explainErrors(file, errors.map(formatError));
  const settings = settingsFrom(source.current.settings, options);
  const pluginFiles = settings.plugins.map((plugin) => path.resolve(path.dirname(file), plugin));
  const plugins = await loadPlugins(pluginFiles);
  const configuration = await createConfiguration(plugins, randomBytes(32));
  const replaced = configuration.replace(resources);
  if (!replaced.ok)
    explainErrors(
      file,
      replaced.errors.map((error) => formatError(locate(error))),
    );
  else configuration.commit(replaced.change);
  const gateway = await Gateway.start({ settings, version, log, configuration, pluginFiles });
  const lines: [string, string][] = [['config', path.relative(process.cwd(), file)]];
  let closeAdmin = async (): Promise<void> => {};
  if (settings.admin.enabled) {
    const { startAdmin } = await import('../server/admin-listener.ts');
    const admin = await startAdmin(parseAddress(settings.admin.address), {
      configuration,
      store: {
        write: () =>
          Promise.reject(
            new ConfigError(`the configuration comes from ${path.basename(file)}; change it there`),
          ),
      },
      broadcast: (change) => gateway.broadcast(change),
      keys: settings.admin.keys,
      allow: settings.admin.allow,
      log,
    });
    lines.push(['Admin API', `http://${admin.at}/apisix/admin (to read)`]);
    closeAdmin = () => admin.close();
  }
  announce(gateway, settings, lines);

  const reload = async (): Promise<void> => {
    const { errors, resources, locate } = source.current;
    const next = errors.length > 0 ? undefined : configuration.replace(resources);
    const problems = next?.ok === false ? next.errors.map(locate) : errors;
    if (problems.length > 0) {
      for (const problem of problems)
        log.error(`configuration refused, the old one stays: ${formatError(problem)}`);
      return;
    }
    if (!next?.ok || next.change.revision === configuration.revision) return;
    configuration.commit(next.change);
    await gateway.broadcast(next.change);
    log.info('configuration reloaded', { revision: configuration.revision });
  };
  source.watch(() => void reload());
  process.on('SIGHUP', () => {
    void gateway.telemetry?.reopen();
    void source.reload();
  });
  stopOnSignals(log, async () => {
    source.close();
    await closeAdmin();
    await gateway.stop();
  });
}

/** The Route that sends everything to one Upstream, before any other. */
function catchAll(upstream: string): WrittenResource {
  let url: URL;
  try {
    url = new URL(upstream.includes('://') ? upstream : `http://${upstream}`);
  } catch {
    throw new UsageError(
      `UPSTREAM must be like https://api.example.com or http://127.0.0.1:8080; got ${upstream}`,
    );
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https')
    throw new UsageError(`UPSTREAM must be http:// or https://; got ${upstream}`);
  if (url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new UsageError(`UPSTREAM is scheme, host and port only, without path or user; got ${upstream}`);
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

function reachable(gateway: Gateway, settings: Settings): string {
  const { host } = parseAddress(settings.listeners[0].address);
  return `${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${gateway.workers.ports[0]}`;
}

/** Says in a few lines where things are and what to do next. */
function announce(gateway: Gateway, settings: Settings, lines: readonly (readonly [string, string])[]): void {
  const colour = process.stderr.isTTY === true;
  const bold = (text: string) => (colour ? styleText('bold', text) : text);
  const traffic = settings.listeners.map(
    ({ address }, index) => `http://${parseAddress(address).host}:${gateway.workers.ports[index]}`,
  );
  const count = gateway.workers.revisions.length;
  const metrics = gateway.telemetry?.metricsAddress;
  const all: (readonly [string, string])[] = [
    ['traffic', `${traffic.join(', ')}  (${count} worker${count === 1 ? '' : 's'})`],
    ...(metrics === undefined
      ? []
      : [['metrics', `http://${metrics.address}:${metrics.port}/apisix/prometheus/metrics`] as const]),
    ...lines,
  ];
  process.stderr.write(`${bold(`Sluice ${version}`)}\n`);
  for (const [name, text] of all) process.stderr.write(`  ${name.padEnd(10)} ${text}\n`);
}

/** Ends in order on SIGTERM or SIGINT; a second one ends at once. */
function stopOnSignals(log: StderrLogger, stop: () => Promise<void>): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info(`${signal}: finishing what is under way`);
    stop().then(
      () => process.exit(0),
      (error: Error) => {
        log.error(`stopping failed: ${error.message}`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
