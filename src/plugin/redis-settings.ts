/** Where a Redis or Valkey is and how to speak with it; as a config says it, in one shape for all policies. */
export interface RedisSettings {
  readonly kind: 'single' | 'cluster' | 'sentinel';
  /** The server itself, some nodes of the cluster, or the sentinels. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** The name under which the sentinels know the master; empty for the other kinds. */
  readonly masterName: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly database: number;
  readonly tls: boolean;
  readonly verify: boolean;
  /** Time allowed for connecting and signing in, and for a silent server before it is given up. */
  readonly connectTimeoutMs: number;
  /** How long a request waits for an answer. */
  readonly decisionTimeoutMs: number;
}

/** The `redis*` fields of a config with defaults filled in. */
export interface RedisFields {
  readonly policy: string;
  readonly redis_host?: string;
  readonly redis_port?: number;
  readonly redis_username?: string;
  readonly redis_password?: string;
  readonly redis_database?: number;
  readonly redis_timeout?: number;
  readonly redis_ssl?: boolean;
  readonly redis_ssl_verify?: boolean;
  readonly redis_cluster_nodes?: readonly string[];
  readonly redis_cluster_ssl?: boolean;
  readonly redis_cluster_ssl_verify?: boolean;
  readonly redis_sentinels?: readonly { readonly host: string; readonly port: number }[];
  readonly redis_master_name?: string;
  readonly redis_connect_timeout?: number;
  readonly redis_read_timeout?: number;
  readonly sentinel_username?: string;
  readonly sentinel_password?: string;
  readonly redis_decision_timeout?: number;
}

const DEFAULT_PORT = 6379;
const DEFAULT_TIMEOUT_MS = 1000;
const DEFAULT_DECISION_MS = 50;

/** The settings for a `policy` other than `local`, of a config that its schema and `redisProblem` have accepted. */
export function redisSettings(config: RedisFields): RedisSettings {
  const answerMs = config.redis_read_timeout ?? config.redis_timeout ?? DEFAULT_TIMEOUT_MS;
  const common = {
    masterName: '',
    username: config.redis_username,
    password: config.redis_password || undefined,
    sentinelUsername: undefined,
    sentinelPassword: undefined,
    database: config.redis_database ?? 0,
    tls: false,
    verify: false,
    connectTimeoutMs: config.redis_connect_timeout ?? config.redis_timeout ?? DEFAULT_TIMEOUT_MS,
    decisionTimeoutMs: Math.min(answerMs, config.redis_decision_timeout ?? DEFAULT_DECISION_MS),
  };
  switch (config.policy) {
    case 'redis-cluster':
      return {
        ...common,
        kind: 'cluster',
        addresses: (config.redis_cluster_nodes ?? []).map((address) => clusterAddress(address)!),
        tls: config.redis_cluster_ssl === true,
        verify: config.redis_cluster_ssl_verify === true,
      };
    case 'redis-sentinel':
      return {
        ...common,
        kind: 'sentinel',
        addresses: config.redis_sentinels ?? [],
        masterName: config.redis_master_name ?? '',
        sentinelUsername: config.sentinel_username,
        sentinelPassword: config.sentinel_password || undefined,
      };
    default:
      return {
        ...common,
        kind: 'single',
        addresses: [{ host: config.redis_host ?? '', port: config.redis_port ?? DEFAULT_PORT }],
        tls: config.redis_ssl === true,
        verify: config.redis_ssl_verify === true,
      };
  }
}

/** What a server of a cluster is written as: `host:port`, `[v6]:port`, or a host alone; undefined when it is none. */
export function clusterAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host: match[1] ?? match[2], port } : undefined;
}
