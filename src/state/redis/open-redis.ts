import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisSettings } from '../../plugin/redis-settings.ts';

/** A connection that is made once and never again: whoever holds it decides when to try anew. */
export type RedisClient = Redis | Cluster;

/** How often a cluster is asked who has which slots, besides when a node says that it moved. */
const SLOTS_REFRESH_MS = 10_000;

/**
 * Begins to connect. Loads ioredis when it is first called. The events `ready`, `error` and `end` say
 * what came of it.
 */
export async function openRedis(settings: RedisSettings): Promise<RedisClient> {
  const { Cluster, Redis } = await import('ioredis');
  const { addresses, connectTimeoutMs, database, tls, verify } = settings;
  const options: RedisOptions = {
    ...(settings.username !== undefined && { username: settings.username }),
    ...(settings.password !== undefined && { password: settings.password }),
    connectTimeout: connectTimeoutMs,
    // A command belongs to the connection that it was given to: whoever waited for it has been told.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    // Whoever is left alone has been silent, or is no longer needed: no goodbye is waited for.
    disconnectTimeout: 1,
    retryStrategy: null,
  };
  const security = tls ? { tls: { rejectUnauthorized: verify } } : {};
  switch (settings.kind) {
    case 'single':
      return new Redis({ ...options, ...security, ...addresses[0], db: database, enableOfflineQueue: false });
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: [...addresses],
        name: settings.masterName,
        db: database,
        enableOfflineQueue: false,
        sentinelRetryStrategy: () => null,
        sentinelCommandTimeout: connectTimeoutMs,
        ...(settings.sentinelUsername !== undefined && { sentinelUsername: settings.sentinelUsername }),
        ...(settings.sentinelPassword !== undefined && { sentinelPassword: settings.sentinelPassword }),
      });
    case 'cluster': {
      const { retryStrategy: _none, ...nodeOptions } = options;
      return new Cluster([...addresses], {
        clusterRetryStrategy: null,
        // Nodes are connected to one by one; what comes meanwhile waits its time and no longer.
        enableOfflineQueue: true,
        slotsRefreshTimeout: connectTimeoutMs,
        slotsRefreshInterval: SLOTS_REFRESH_MS,
        redisOptions: {
          ...nodeOptions,
          ...security,
          // For probes of a silent server; requests have decided long before.
          commandTimeout: connectTimeoutMs + settings.decisionTimeoutMs,
        },
      });
    }
  }
}

/** The client as one of a cluster, if it is one. */
export function asCluster(client: RedisClient): Cluster | undefined {
  return client.isCluster ? (client as Cluster) : undefined;
}
