// The whole gateway in one process: configuration, workers, telemetry, and the Admin API where it
// is wanted. Everything that only some need is imported when it is needed.

import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Change } from '../model/change.ts';
import { Configuration } from '../model/configuration.ts';
import { type DiscoveredSet, servicesIn } from '../model/discovery.ts';
import type { GaugeReading } from '../model/gauge.ts';
import { parseAddress } from '../model/listen-address.ts';
import { resolveListener } from '../model/listener.ts';
import type { Resource } from '../model/resource.ts';
import type { Settings } from '../model/settings.ts';
import type { Challenge, ObtainedCertificate } from '../model/tls-material.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import type { Logger } from '../plugin/kit.ts';
import type { EvaluateOptions, Evaluator } from '../proxy/evaluator.ts';
import type { EvaluationRequest, Explanation } from '../proxy/explanation.ts';
import type { ZoneSettings } from '../state/cache/cache-zones.ts';
import { FlightClaims } from '../state/cache/flight-claims.ts';
import { ObservedCaches } from '../state/cache/observed-caches.ts';
import { ThreadChannel } from '../state/cache/thread-channel.ts';
import { createRecordRing } from '../state/memory/record-ring.ts';
import { allocateSharedState, SharedState } from '../state/memory/shared-state.ts';
import type { Readiness } from '../telemetry/status-answer.ts';
import { Telemetry } from '../telemetry/telemetry.ts';
import { DEFAULT_REDACTED_PARAMETERS } from '../telemetry/uri-redaction.ts';
import type { Acme } from './acme.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { checkedValue } from './checked-value.ts';
import { expressionProblem } from './expression-problem.ts';
import { openGeoFiles, readGeoFiles, watchGeoFiles } from './geo-files.ts';
import type { HealthMonitor } from './health-monitor.ts';
import type { Stopping } from './obey-signals.ts';
import type { PluginFile } from './plugin-files.ts';
import { type HandedSocket, type Predecessor, socketName } from './predecessor.ts';
import type { ServiceWatch } from './service-watch.ts';
import type { StatusServer } from './status-server.ts';
import { TlsKeeper } from './tls-keeper.ts';
import { Workers } from './workers.ts';

export interface GatewayOptions {
  /** Without listeners, as of a control plane, there are no workers. */
  readonly settings: Settings;
  readonly version: string;
  readonly log: Logger;
  readonly configuration: Configuration;
  readonly plugins: readonly Plugin[];
  readonly pluginFiles: readonly PluginFile[];
  /** Whether what is served was on the disk and may be old; of a data plane only. */
  isStale?(): boolean;
  /** Where things are kept between starts. */
  readonly dataDirectory: string;
  /** The folder of the configuration file; the working directory where there is none. */
  readonly folder?: string;
  /** The process that this one takes over from. */
  readonly predecessor: Predecessor;
}

/** A Configuration that knows these Plugins. `encryptionKey` seals secrets for Store and Admin API. */
export async function createConfiguration(
  plugins: readonly Plugin[],
  encryptionKey: Uint8Array,
): Promise<Configuration> {
  const { Sealing } = await import('../model/sealing.ts');
  return new Configuration({ plugins, sealing: new Sealing(encryptionKey), expression: expressionProblem });
}

export class Gateway {
  readonly configuration: Configuration;
  readonly workers: Workers;
  readonly telemetry: Telemetry | undefined;
  readonly #tls: TlsKeeper;
  readonly #acme: Acme | undefined;
  readonly #certificates: CertificateWatch;
  /** What the workers have stored. */
  readonly caches: ObservedCaches;
  readonly #cacheChannel: ThreadChannel;
  readonly #settings: Settings;
  readonly #log: Logger;
  readonly #state: SharedState;
  #plugins: readonly Plugin[];
  #evaluator: Evaluator | undefined;
  /** The revision that it was compiled from. */
  #evaluated = -1;
  #monitor: HealthMonitor | undefined;
  readonly #options: GatewayOptions;
  #services: ServiceWatch | undefined;
  #told: Promise<unknown> = Promise.resolve();
  #statusServer: StatusServer | undefined;
  readonly #isStale: () => boolean;
  #toldReadiness = '';
  #readinessTimer: NodeJS.Timeout | undefined;
  #unwatchGeo = (): void => {};

  static async start(options: GatewayOptions): Promise<Gateway> {
    const { settings, configuration, log } = options;
    const count = settings.listeners.length === 0 ? 0 : settings.workers || availableParallelism();
    const geoFiles = settings.geo.databases;
    const geo = await readGeoFiles(geoFiles);
    const telemetry = await startTelemetry(options);
    const buffers = allocateSharedState({ workers: Math.max(count, 1) });
    const { client } = settings;
    const state = new SharedState(buffers);
    let gateway: Gateway | undefined;
    const gauges = new Map<string, GaugeReading>();
    const acme = await openAcme(options);
    const tls = new TlsKeeper(settings.tls.ticket_rotation, acme?.certificates);
    const services = await followServices(options, configuration.snapshot.all(), (set) => {
      if (gateway === undefined) workers.rediscover(set);
      else gateway.#rediscover(set);
    });
    const workers = new Workers({
      count,
      buffers,
      state,
      snapshot: configuration.snapshot,
      pluginFiles: options.pluginFiles,
      log,
      onChange: () => gateway?.tellReadiness(),
      onGauge(reading) {
        const key = `${reading.name}|${reading.key}`;
        if (reading.value === undefined) gauges.delete(key);
        else gauges.set(key, reading);
        telemetry?.report({ gauges: [...gauges.values()] });
      },
      predecessor: options.predecessor,
      tls: { fallbackSni: settings.tls.fallback_sni.toLowerCase() || undefined, material: tls.material },
      discovered: () => (gateway === undefined ? services : gateway.#services)?.sets() ?? [],
      ringFor(worker) {
        if (telemetry === undefined) return undefined;
        const ring = createRecordRing({ detail: settings.access_log.path !== 'off' });
        telemetry.addRing(worker, ring);
        return ring;
      },
      start: {
        listeners: settings.listeners.map(resolveListener),
        client: {
          headerTimeout: client.header_timeout,
          bodyTimeout: client.body_timeout,
          keepaliveTimeout: client.keepalive_timeout,
          sendTimeout: client.send_timeout,
          keepaliveRequests: client.keepalive_requests,
          maxUriBytes: client.max_uri_bytes,
          maxHeaderBytes: client.max_header_bytes,
          maxHeaders: client.max_headers,
          maxBodyBytes: client.max_body_bytes,
          maxConnections: client.max_connections,
          maxConnectionsPerAddress: client.max_connections_per_address,
          maxUdpSessions: client.max_udp_sessions,
        },
        trustedAddresses: settings.trusted_addresses,
        maxCollectedBytes: settings.max_collected_bytes,
        dnsServers: settings.resolver.servers,
        watchdogMs: settings.watchdog.timeout * 1000,
        geo,
        caches: {
          zones: zonesOf(settings),
          workers: count,
          channel: CACHE_CHANNEL,
          claims: count > 1 ? FlightClaims.allocate() : undefined,
        },
      },
    });
    try {
      await services?.apply({ puts: configuration.snapshot.all(), removals: [] });
      await workers.start();
    } catch (error) {
      services?.close();
      await telemetry?.stop();
      throw error;
    }
    tls.start((material) => workers.useTls(material));
    gateway = new Gateway(options, workers, telemetry, state, tls, acme, services);
    try {
      await gateway.#begin(options.predecessor);
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    const started = gateway;
    started.#unwatchGeo = watchGeoFiles(geoFiles, geo, log, (changed) => {
      workers.reloadGeo(changed);
      started.#dropEvaluator();
    });
    acme?.start(gateway);
    return gateway;
  }

  private constructor(
    options: GatewayOptions,
    workers: Workers,
    telemetry: Telemetry | undefined,
    state: SharedState,
    tls: TlsKeeper,
    acme: Acme | undefined,
    services: ServiceWatch | undefined,
  ) {
    this.#options = options;
    this.#services = services;
    this.configuration = options.configuration;
    this.workers = workers;
    this.telemetry = telemetry;
    this.#cacheChannel = new ThreadChannel(CACHE_CHANNEL);
    const zones = options.settings.caches.map(({ name }) => name);
    this.caches = new ObservedCaches(
      this.#cacheChannel,
      zones,
      options.settings.workers || availableParallelism(),
    );
    this.#state = state;
    this.#settings = options.settings;
    this.#plugins = options.plugins;
    this.#log = options.log;
    this.#isStale = () => options.isStale?.() ?? false;
    this.#tls = tls;
    this.#acme = acme;
    this.#certificates = new CertificateWatch({
      snapshot: options.configuration.snapshot,
      log: options.log,
      obtained: () => tls.material.certificates,
      report: (certificates) => telemetry?.report({ certificates }),
    });
    this.#certificates.start();
  }

  async #begin(predecessor: Predecessor): Promise<void> {
    await this.#watchHealth(this.configuration.snapshot.all());
    const { status } = this.#settings;
    if (status.enabled) {
      const { startStatusServer } = await import('./status-server.ts');
      this.#statusServer = await startStatusServer(
        parseAddress(status.address, '127.0.0.1'),
        () => this.readiness,
        predecessor,
      );
    }
    this.tellReadiness();
    // A worker that is late becomes so by time alone.
    if (this.telemetry !== undefined)
      this.#readinessTimer = setInterval(() => this.tellReadiness(), 1000).unref();
  }

  /** What is known of the Targets that are checked; undefined while none is. */
  get health(): HealthMonitor | undefined {
    return this.#monitor;
  }

  /** What registries have told; undefined while no Upstream names a service. */
  get services(): ServiceWatch | undefined {
    return this.#services;
  }

  /** Where the status is answered besides the metrics' address. */
  get statusAddress(): string | undefined {
    return this.#statusServer?.at;
  }

  get readiness(): Readiness {
    const { readiness } = this.workers;
    return this.#isStale() ? { ...readiness, stale: true } : readiness;
  }

  /** Shows the telemetry thread, which answers for it, whether the workers serve. */
  tellReadiness(): void {
    const { readiness } = this;
    const text = JSON.stringify(readiness);
    if (this.#toldReadiness === text) return;
    this.#toldReadiness = text;
    this.telemetry?.report({ readiness });
  }

  /** Nothing watches, and nothing is loaded for it, until an Upstream has checks. */
  async #watchHealth(resources: readonly Resource[]): Promise<void> {
    // Whoever sends nothing to Targets has no business with their health.
    if (this.#settings.listeners.length === 0) return;
    if (!resources.some(({ kind, value }) => checkedValue(kind, value) !== undefined)) return;
    const { HealthMonitor } = await import('./health-monitor.ts');
    this.#monitor = new HealthMonitor({
      snapshot: this.configuration.snapshot,
      health: this.#state.health,
      breakers: this.#state.breakers,
      dnsServers: this.#settings.resolver.servers,
      discovered: (service) => this.#services?.targets(service),
      log: this.#log,
      onStatus: (upstreamStatus) => this.telemetry?.report({ upstreamStatus }),
      onCircuits: (circuits) => this.telemetry?.report({ circuits }),
    });
  }

  async #followServices(change: Change): Promise<void> {
    this.#services ??= await followServices(this.#options, change.puts, (set) => this.#rediscover(set));
    await this.#services?.apply(change);
  }

  #rediscover(set: DiscoveredSet): void {
    this.#monitor?.rediscover(set.service);
    this.workers.rediscover(set);
    this.#dropEvaluator();
  }

  /** Takes changed Plugins into validation; what is configured and no longer fits, as text, and then nothing changes. */
  replacePlugins(changed: readonly Plugin[]): readonly string[] {
    const names = new Set(changed.map(({ name }) => name));
    const next = [...this.#plugins.filter(({ name }) => !names.has(name)), ...changed];
    const errors = this.configuration.usePlugins(next);
    if (errors.length === 0) {
      this.#plugins = next;
      this.#dropEvaluator();
    }
    return errors.map(({ kind, id, message }) => `${kind}/${id}: ${message}`);
  }

  /**
   * Says what would become of a request, by the configuration and the counters of this moment; the
   * workers know nothing of it. Rejects with a TypeError for one that no client could send.
   */
  async explain({ now, seed, ...request }: EvaluationRequest & EvaluateOptions): Promise<Explanation> {
    const { snapshot } = this.configuration;
    if (this.#evaluator === undefined || this.#evaluated !== snapshot.revision) {
      this.#dropEvaluator();
      // Most processes are never asked.
      const { createEvaluator } = await import('./create-evaluator.ts');
      const listeners = this.#settings.listeners.map(({ address }, index) => {
        const { host } = parseAddress(address);
        return { address: `${host.includes(':') ? `[${host}]` : host}:${this.workers.ports[index]}` };
      });
      this.#evaluated = snapshot.revision;
      this.#evaluator = createEvaluator(
        snapshot,
        this.#plugins,
        { ...this.#settings, listeners },
        this.#state,
        await openGeoFiles(this.workers.geo),
        this.caches,
        (service) => this.#services?.targets(service),
      );
    }
    return this.#evaluator.evaluate(request, { now, seed });
  }

  #dropEvaluator(): void {
    this.#evaluator?.dispose();
    this.#evaluator = undefined;
  }

  /** Brings a committed Change to the workers; resolves when they serve it. */
  broadcast(change: Change): Promise<void> {
    this.#certificates.onChange(change);
    // Health comes before the workers, so that a Target that is new is known as such; and what is
    // discovered before both. Changes keep their order, though the first to have checks waits for
    // what looks after them.
    const told = this.#told
      .then(() => this.#followServices(change))
      .catch((error: Error) => this.#log.error(`services can't be followed: ${error.message}`))
      .then(() =>
        this.#monitor === undefined ? this.#watchHealth(change.puts) : this.#monitor.apply(change),
      )
      .catch((error: Error) => this.#log.error(`health checks can't follow a change: ${error.message}`))
      .then(() => ({ served: this.workers.broadcast(change) }));
    this.#told = told;
    return told.then(({ served }) => served);
  }

  /** Serves certificates that were obtained; resolves when all workers do. */
  async useCertificates(certificates: readonly ObtainedCertificate[]): Promise<void> {
    await this.#tls.useCertificates(certificates);
    this.#certificates.check(new Set());
  }

  /** Answers a certificate authority's questions; resolves when all workers do. */
  useChallenges(challenges: readonly Challenge[]): Promise<void> {
    return this.#tls.useChallenges(challenges);
  }

  /** All that listen here. */
  get sockets(): readonly HandedSocket[] {
    const { metrics } = this.#settings;
    const at = this.telemetry?.metricsAddress;
    const { socket: status } = this.#statusServer ?? {};
    return [
      ...this.workers.sockets,
      ...(status === undefined ? [] : [status]),
      ...(at?.fd === undefined
        ? []
        : [{ name: socketName('metrics', parseAddress(metrics.address)), port: at.port, fds: [at.fd] }]),
    ];
  }

  /** Stops accepting, lets requests under way end, writes the last log line. */
  async stop({ lullMs }: Stopping = { lullMs: 0 }): Promise<void> {
    if (lullMs > 0) {
      // Who asks now means the process that has taken over.
      this.telemetry?.leave();
      this.#statusServer?.leave();
    }
    clearInterval(this.#readinessTimer);
    this.#monitor?.close();
    this.#unwatchGeo();
    this.#acme?.stop();
    this.#tls.stop();
    this.#certificates.stop();
    this.#cacheChannel.close();
    this.#services?.close();
    await this.workers.stop(this.#settings.shutdown.grace * 1000, lullMs);
    this.#statusServer?.close();
    const dropped = (await this.telemetry?.stop()) ?? 0;
    if (dropped > 0) this.#log.warn(`${dropped} access log lines could not be written`);
  }
}

async function openAcme({ settings, dataDirectory, log }: GatewayOptions): Promise<Acme | undefined> {
  if (settings.acme.domains.length === 0) return undefined;
  const { openAcme } = await import('./acme.ts');
  return openAcme(settings, dataDirectory, log);
}

/** By which the threads of this process find each other, and other processes tell it from themselves. */
const CACHE_CHANNEL = `sluice-caches-${randomUUID()}`;

function zonesOf({ caches, data_dir: folder }: Settings): ZoneSettings[] {
  return caches.map(({ disk_path: disk, ...zone }) => ({
    ...zone,
    ...(disk !== undefined && { disk_path: path.resolve(folder, disk) }),
  }));
}

/** Nothing is followed, and nothing is loaded for it, until an Upstream names a service. */
async function followServices(
  { settings, log, folder = process.cwd() }: GatewayOptions,
  puts: readonly Resource[],
  onSet: (set: DiscoveredSet) => void,
): Promise<ServiceWatch | undefined> {
  if (!puts.some(({ value }) => servicesIn(value).size > 0)) return undefined;
  const { ServiceWatch } = await import('./service-watch.ts');
  const { discovery, resolver } = settings;
  return new ServiceWatch({ settings: discovery, dnsServers: resolver.servers, folder, log, onSet });
}

async function startTelemetry(options: GatewayOptions): Promise<Telemetry | undefined> {
  const { settings, version, log, predecessor } = options;
  const { access_log: accessLog, metrics } = settings;
  if (accessLog.path === 'off' && !metrics.enabled) return undefined;
  const address = metrics.enabled ? parseAddress(metrics.address) : undefined;
  return Telemetry.start({
    settings: {
      version,
      ...(accessLog.path !== 'off' && {
        accessLog: {
          destination: accessLog.path === '-' ? 'stdout' : { file: accessLog.path },
          redactedParameters: [...DEFAULT_REDACTED_PARAMETERS, ...accessLog.redact],
        },
      }),
      ...(address !== undefined && {
        prometheus: {
          address: address.host,
          port: address.port,
          fd: predecessor.take(socketName('metrics', address))?.fds[0],
        },
      }),
    },
    onTrouble: (message) => log.warn(message),
  }).catch((error: Error) => {
    if (!error.message.includes('EADDRINUSE')) throw error;
    throw new Error(
      `the metrics' address ${metrics.address} is in use by another program; choose another with --metrics-listen`,
    );
  });
}
