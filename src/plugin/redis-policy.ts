// The `redis*` fields that APISIX's limiting Plugins share, so that a config says the same here as
// there, and two of our own: how long a request waits for Redis, and what happens when it waited in vain.

import { Type } from '../lib/schema.ts';
import { clusterAddress, type RedisFields } from './redis-settings.ts';

const password = Type.String({ minLength: 0, secret: true, description: 'Password for Redis.' });
const timeout = Type.Integer({
  minimum: 1,
  default: 1000,
  description:
    'Time allowed for connecting, and for a silent Redis before its connection is given up, in milliseconds. How long a request waits says `redis_decision_timeout`.',
});
const keepalivePool = Type.Integer({
  minimum: 1,
  default: 100,
  description: 'Has no effect: each worker has one connection and sends all commands over it.',
});
const keepaliveTimeout = Type.Integer({
  minimum: 1000,
  default: 10000,
  description: 'Has no effect: the connection is kept as long as a Binding uses it.',
});
const database = Type.Integer({ minimum: 0, default: 0, description: 'Number of the Redis database.' });
const username = Type.String({ minLength: 1, description: 'User name for Redis, where it uses ACLs.' });

/** Additions to APISIX's fields. */
const failureFields = {
  redis_decision_timeout: Type.Integer({
    minimum: 1,
    default: 50,
    description:
      'How long a request waits for an answer of Redis before `on_redis_failure` decides, in milliseconds.',
  }),
  on_redis_failure: Type.Optional(
    Type.Enum(['refuse', 'allow', 'count_locally'], {
      description:
        'What happens to requests while Redis does not answer: they are answered with 500, pass uncounted, or are counted by this machine alone. Unless said, `allow_degradation` chooses between `allow` and `refuse`.',
    }),
  ),
};

const redis = {
  properties: {
    ...failureFields,
    redis_host: Type.String({ minLength: 2, description: 'Address of the Redis server.' }),
    redis_port: Type.Integer({ minimum: 1, default: 6379, description: 'Port of the Redis server.' }),
    redis_username: username,
    redis_password: password,
    redis_database: database,
    redis_timeout: timeout,
    redis_ssl: Type.Boolean({ default: false, description: 'Connect to Redis by TLS.' }),
    redis_ssl_verify: Type.Boolean({ default: false, description: 'Verify the certificate of Redis.' }),
    redis_keepalive_timeout: keepaliveTimeout,
    redis_keepalive_pool: keepalivePool,
  },
  required: ['redis_host'],
};

const redisCluster = {
  properties: {
    ...failureFields,
    redis_cluster_nodes: Type.Array(Type.String({ minLength: 2, maxLength: 100 }), {
      minItems: 1,
      description: 'Addresses of nodes of the Redis cluster, as `host:port`.',
    }),
    redis_cluster_name: Type.String({ description: 'Name of the Redis cluster.' }),
    redis_password: password,
    redis_timeout: timeout,
    redis_cluster_ssl: Type.Boolean({ default: false, description: 'Connect to the cluster by TLS.' }),
    redis_cluster_ssl_verify: Type.Boolean({
      default: false,
      description: "Verify the certificates of the cluster's nodes.",
    }),
    redis_keepalive_timeout: keepaliveTimeout,
    redis_keepalive_pool: keepalivePool,
  },
  required: ['redis_cluster_nodes', 'redis_cluster_name'],
};

const redisSentinel = {
  properties: {
    ...failureFields,
    redis_sentinels: Type.Array(
      Type.Object(
        {
          host: Type.String({ minLength: 2, description: 'Address of a sentinel.' }),
          port: Type.Integer({ minimum: 1, maximum: 65535, description: 'Port of a sentinel.' }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, description: 'The sentinels to ask for the master.' },
    ),
    redis_master_name: Type.String({ minLength: 1, description: 'Name of the master the sentinels watch.' }),
    redis_role: Type.Enum(['master', 'slave'], {
      default: 'master',
      description:
        'Which of the watched servers to use. Counters have to be written, so only `master` will do.',
    }),
    redis_connect_timeout: Type.Integer({
      minimum: 1,
      default: 1000,
      description: 'Time allowed for connecting, in milliseconds.',
    }),
    redis_read_timeout: Type.Integer({
      minimum: 1,
      default: 1000,
      description: 'Time allowed for an answer, in milliseconds.',
    }),
    redis_keepalive_timeout: Type.Integer({
      minimum: 1,
      default: 60000,
      description: 'Has no effect: the connection is kept as long as a Binding uses it.',
    }),
    redis_database: database,
    redis_username: username,
    redis_password: password,
    sentinel_username: Type.String({ minLength: 1, description: 'User name for the sentinels.' }),
    sentinel_password: Type.String({
      minLength: 0,
      secret: true,
      description: 'Password for the sentinels.',
    }),
  },
  required: ['redis_sentinels', 'redis_master_name'],
};

type Keywords = Readonly<Record<string, unknown>>;

function when(policy: string, then: Keywords, otherwise?: Keywords): Keywords {
  return {
    if: { properties: { policy: { enum: [policy] } } },
    then,
    ...(otherwise !== undefined && { else: otherwise }),
  };
}

/** The schema keywords (`if`, `then`, `else`) that ask for the fields of `policy`: redis or redis-cluster. */
export const redisPolicies = when('redis', redis, when('redis-cluster', redisCluster));

/** As `redisPolicies`, with redis-sentinel. */
export const redisPoliciesWithSentinel = when(
  'redis',
  redis,
  when('redis-cluster', redisCluster, when('redis-sentinel', redisSentinel)),
);

/** What is wrong with the `redis*` fields that a schema can't say, or undefined. */
export function redisProblem(config: RedisFields & { readonly redis_role?: string }): string | undefined {
  if (config.policy === 'redis-cluster') {
    const wrong = config.redis_cluster_nodes?.find((address) => clusterAddress(address) === undefined);
    if (wrong !== undefined)
      return `redis_cluster_nodes: "${wrong}" is not an address; write it as host:port`;
  }
  if (config.policy === 'redis-sentinel' && config.redis_role === 'slave') {
    return 'redis_role slave: counters have to be written, so use redis_role master';
  }
  return undefined;
}
