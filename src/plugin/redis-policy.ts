// The `redis*` fields that APISIX's limiting Plugins share. They are in the schemas so that a config
// says the same here as there; `check` refuses the policies that are not built yet.

import { Type } from '../lib/schema.ts';

const password = Type.String({ minLength: 0, secret: true, description: 'Password for Redis.' });
const timeout = Type.Integer({
  minimum: 1,
  default: 1000,
  description: 'Time allowed for one command, in milliseconds.',
});
const keepalivePool = Type.Integer({
  minimum: 1,
  default: 100,
  description: 'Idle connections to Redis kept open.',
});
const keepaliveTimeout = Type.Integer({
  minimum: 1000,
  default: 10000,
  description: 'How long an idle connection to Redis is kept, in milliseconds.',
});
const database = Type.Integer({ minimum: 0, default: 0, description: 'Number of the Redis database.' });
const username = Type.String({ minLength: 1, description: 'User name for Redis, where it uses ACLs.' });

const redis = {
  properties: {
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
      description: 'Which of the watched servers to use.',
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
      description: 'How long an idle connection is kept, in milliseconds.',
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

/** Why a policy can't be used, or undefined for `local`. */
export function policyProblem(policy: string): string | undefined {
  if (policy === 'local') return undefined;
  return `policy ${policy} is not yet available, use policy local: its counters are exact across all workers of one machine`;
}
