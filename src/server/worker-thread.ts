// One worker: a thread that carries traffic. Started by workers.ts.

import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { BalancerState } from '../balancers/balancer-state.ts';
import { NetworkLookups } from '../discovery/lookups.ts';
import { Resolver } from '../discovery/resolver.ts';
import type { FirstStage } from '../http/first-stage.ts';
import { type Deadlines, deadlinesOf } from '../lib/deadlines.ts';
import { descriptorOf } from '../lib/descriptor.ts';
import { IpSet } from '../lib/ip-range.ts';
import { withDefaults } from '../lib/json-schema.ts';
import type { Value } from '../model/resource.ts';
import { Snapshot } from '../model/snapshot.ts';
import type { Plugin } from '../plugin/define-plugin.ts';
import { plugins as builtIn } from '../plugins/index.ts';
import { ConnectionLimits } from '../proxy/connection-limits.ts';
import { DataPlane } from '../proxy/data-plane.ts';
import { sendOwnRequest } from '../proxy/own-requests.ts';
import { Pools } from '../proxy/pools.ts';
import { Refusals } from '../proxy/refusals.ts';
import { Runtime } from '../proxy/runtime.ts';
import type { Listening, StreamPlane, StreamPlaneOptions } from '../proxy/stream-plane.ts';
import { CacheZones } from '../state/cache/cache-zones.ts';
import { monotonic } from '../state/memory/monotonic-clock.ts';
import { RecordRing, WORKER_GAUGE } from '../state/memory/record-ring.ts';
import { SharedState } from '../state/memory/shared-state.ts';
import { RedisLimits } from '../state/redis/limits.ts';
import { openRedis } from '../state/redis/open-redis.ts';
import { RedisLinks } from '../state/redis/redis-links.ts';
import type { ServerCertificates } from '../tls/server-certificates.ts';
import { balancersOn } from './balancing.ts';
import { openGeoFiles } from './geo-files.ts';
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts';
import { loadPluginFile, type PluginFile } from './plugin-files.ts';
import { beat } from './watchdog.ts';
import { WorkerLog } from './worker-log.ts';

const start = workerData as WorkerStart;
const port = parentPort!;
const tell = (message: FromWorker): void => port.postMessage(message);
const log = new WorkerLog(tell);
const require = createRequire(import.meta.url);

async function run(): Promise<void> {
  const state = new SharedState(start.state, { worker: start.number, incarnation: start.incarnation });
  const own = await Promise.all(start.pluginFiles.map((file) => loadPluginFile(file)));
  const plugins: Plugin[] = [...builtIn, ...own.flat()];

  const snapshot = new Snapshot();
  snapshot.apply({ revision: start.revision, puts: start.resources, removals: [] });

  const discovered = new Map(start.discovered.map(({ service, targets }) => [service, targets]));
  const balancerState = new BalancerState({
    ticket: (key) => state.counters.ticket(key),
    now: monotonic,
    random: Math.random,
  });
  const redisLinks = new RedisLinks({ log, random: Math.random, open: openRedis });
  const caches = new CacheZones({
    settings: start.caches.zones,
    worker: start.number,
    workers: start.caches.workers,
    channel: start.caches.channel,
    claims: start.caches.claims,
    log,
    redis: redisLinks,
  });
  const runtime = new Runtime(snapshot, {
    plugins,
    limits: state.limits,
    sharedLimits({ redis, stayTtlSeconds, countLocally }) {
      const { link, stays, release } = redisLinks.acquire(redis);
      const local = countLocally ? state.limits : undefined;
      return new RedisLimits(link, stays, { stayTtlSeconds, local, release });
    },
    breakers: state.breakers,
    health: state.health,
    shared: state.shared,
    log,
    clock: { now: Date.now, monotonic },
    random: Math.random,
    delay: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    send: sendOwnRequest,
    gauge: (reading) => tell({ type: 'gauge', reading }),
    cache: (zone) => caches.zone(zone),
    withDefaults: (schema, config) => withDefaults(schema, config) as Value,
    // Loaded when the first such Target is configured, not for plain traffic.
    pools: new Pools({ tls: () => require('node:tls'), http2: () => require('node:http2') }),
    resolver: new Resolver({
      lookups: new NetworkLookups({ servers: start.dnsServers.length > 0 ? start.dnsServers : undefined }),
    }),
    createBalancer: balancersOn(balancerState),
    discovered: (service) => discovered.get(service),
  });

  let certificates: ServerCertificates | undefined;
  if (start.listeners.some(({ tls }) => tls)) {
    const { ServerCertificates } = await import('../tls/server-certificates.ts');
    certificates = new ServerCertificates({ ssls: snapshot, log, ...start.tls });
    runtime.onSslChange = () => certificates?.refresh();
  }

  const ring = start.ring === undefined ? undefined : new RecordRing(start.ring);
  const { client } = start;
  const trusted = start.trustedAddresses.length > 0 ? new IpSet(start.trustedAddresses) : undefined;
  const headDeadlines = deadlinesOf(client.headerTimeout * 1000);
  const refusals = new Refusals(log);
  const connectionLimits =
    client.maxConnections > 0 || client.maxConnectionsPerAddress > 0
      ? new ConnectionLimits(
          { max: client.maxConnections, maxPerAddress: client.maxConnectionsPerAddress },
          state.limits,
        )
      : undefined;
  const proxyProtocol = await proxyProtocolFor(headDeadlines, trusted, refusals);
  const dataPlane = new DataPlane(runtime, {
    limits: {
      maxTarget: client.maxUriBytes,
      maxFields: client.maxHeaders,
      maxHeadBytes: client.maxHeaderBytes,
      maxBodyBytes: client.maxBodyBytes,
      maxRequests: client.keepaliveRequests || Number.POSITIVE_INFINITY,
      head: headDeadlines,
      body: deadlinesOf(client.bodyTimeout * 1000),
      idle: deadlinesOf(client.keepaliveTimeout * 1000),
      send: deadlinesOf(client.sendTimeout * 1000),
    },
    trusted,
    sink: ring,
    log,
    maxCollectedBytes: start.maxCollectedBytes,
    connectionLimits,
    proxyProtocol,
    refusals,
    certificates,
  });
  const streamPlane = start.listeners.some(({ protocol }) => protocol !== 'http')
    ? await createStreamPlane(runtime, {
        sink: ring,
        log,
        refusals,
        connectionLimits,
        proxyProtocol,
        helloDeadlines: headDeadlines,
        certificates,
        handshakes: dataPlane.handshakes,
        maxUdpSessions: client.maxUdpSessions,
      })
    : undefined;
  dataPlane.useChallenges(start.tls.material.challenges);

  runtime.geo = await openGeoFiles(start.geo);

  port.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'change':
        try {
          runtime.apply(message.change);
        } catch (error) {
          // Half a configuration must not serve: whoever replaces this worker begins with a whole one.
          log.error(`revision ${message.change.revision} can't be applied: ${String(error)}`);
          process.exit(1);
        }
        tell({ type: 'applied', revision: runtime.revision });
        return;
      case 'tls':
        certificates?.useMaterial(message.material);
        dataPlane.useChallenges(message.material.challenges);
        tell({ type: 'tls-used', serial: message.serial });
        return;
      case 'discovered':
        if (message.set.targets === undefined) discovered.delete(message.set.service);
        else discovered.set(message.set.service, message.set.targets);
        runtime.rediscover(message.set.service);
        return;
      case 'reload-plugin':
        void reloadPlugin(runtime, message.file);
        return;
      case 'geo':
        void openGeoFiles(message.geo).then((geo) => {
          runtime.geo = geo;
        });
        return;
      case 'drain':
        void Promise.all([
          dataPlane.drain(message.graceMs, message.lullMs),
          streamPlane?.drain(message.graceMs, message.lullMs),
        ]).then(() => {
          showFigures();
          tell({ type: 'drained' });
          port.close();
          process.exit(0);
        });
    }
  });

  const showFigures = (): void => {
    if (ring === undefined) return;
    const { gauges } = ring;
    const accepted = dataPlane.acceptedConnections + (streamPlane?.acceptedConnections ?? 0);
    gauges[WORKER_GAUGE.connectionsActive] = dataPlane.connectionCount + (streamPlane?.connectionCount ?? 0);
    gauges[WORKER_GAUGE.connectionsAccepted] = accepted;
    gauges[WORKER_GAUGE.connectionsHandled] = accepted - (connectionLimits?.refused ?? 0);
    gauges[WORKER_GAUGE.revision] = runtime.revision;
    gauges[WORKER_GAUGE.handshakesCompleted] = dataPlane.handshakes.completed;
    gauges[WORKER_GAUGE.handshakesResumed] = dataPlane.handshakes.resumed;
    gauges[WORKER_GAUGE.handshakesFailed] = dataPlane.handshakes.failed;
    gauges[WORKER_GAUGE.evictions] = state.evictions;
    const redis = redisLinks.count();
    gauges[WORKER_GAUGE.redisReady] = redis.ready;
    gauges[WORKER_GAUGE.redisDown] = redis.down;
  };
  if (start.pulse !== undefined) beat(start.pulse, start.watchdogMs);
  showFigures();
  setInterval(showFigures, 1000).unref();

  const ports: number[] = [];
  const fds: number[][] = [];
  const { reusePort } = start;
  for (const [index, listener] of start.listeners.entries()) {
    const plane = listener.protocol === 'http' ? dataPlane : streamPlane!;
    const handed = start.handed[index];
    const servers: Listening[] = [];
    for (const fd of handed) servers.push(await plane.listen(listener, { fd }));
    if (servers.length === 0) servers.push(await plane.listen(listener, { reusePort }));
    for (const server of servers) {
      const address = server.address();
      ports[index] = typeof address === 'object' && address !== null ? address.port : 0;
      if (handed.length > 0 && ports[index] !== listener.port)
        throw new Error(`the socket that was handed over for port ${listener.port} is another one`);
    }
    fds.push(servers.map(descriptorOf).filter((fd) => fd !== undefined));
  }
  tell({ type: 'ready', ports, fds });
}

/** The stage that takes PROXY protocol headers, loaded only where a Listener wants them. */
async function proxyProtocolFor(
  deadlines: Deadlines,
  trusted: IpSet | undefined,
  refusals: Refusals,
): Promise<FirstStage | undefined> {
  if (!start.listeners.some(({ proxyProtocol }) => proxyProtocol)) return undefined;
  const { proxyProtocolStage } = await import('../http/proxy-protocol-stage.ts');
  return proxyProtocolStage({
    trusted: trusted ?? new IpSet([]),
    deadlines,
    onRefused: (reason, address) => refusals.add(reason, address),
  });
}

async function createStreamPlane(
  runtime: Runtime,
  options: Omit<StreamPlaneOptions, 'routes'>,
): Promise<StreamPlane> {
  const [{ StreamPlane }, { StreamRoutes }] = await Promise.all([
    import('../proxy/stream-plane.ts'),
    import('../proxy/stream-routes.ts'),
  ]);
  return new StreamPlane({ ...options, routes: new StreamRoutes(runtime) });
}

async function reloadPlugin(runtime: Runtime, file: PluginFile): Promise<void> {
  try {
    for (const plugin of await loadPluginFile(file)) runtime.replacePlugin(plugin);
    log.debug('plugin reloaded', { file: file.path });
  } catch (error) {
    log.error('plugin not reloaded; the old one stays', { file: file.path, error: String(error) });
  }
}

/** So many strays in a minute, and the worker is no longer believed to be sound. */
const MAX_STRAYS = 100;
let strays = 0;
setInterval(() => {
  strays = 0;
}, 60_000).unref();

/** A Plugin's stray rejection or timer must not take everybody's connections down with it. */
function onStray(kind: string, reason: unknown): void {
  const { message, stack } = reason instanceof Error ? reason : { message: String(reason), stack: undefined };
  log.error(`${kind}: ${message}`, { stack });
  if (++strays >= MAX_STRAYS) process.exit(1);
}
process.on('uncaughtException', (error) => onStray('uncaught exception', error));
process.on('unhandledRejection', (reason) => onStray('unhandled rejection', reason));

run().catch((error: Error) => {
  tell({ type: 'failed', message: error.message });
  port.close();
});
