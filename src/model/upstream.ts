import { validate, withDefaults } from '../lib/json-schema.ts';
import { type Schema, type Static, Type } from '../lib/schema.ts';
import { host } from './address.ts';
import { certificate, checkCertificate, privateKey } from './certificate.ts';
import { defineResource } from './define-resource.ts';
import { namedDescription } from './description.ts';
import { healthCheck } from './health-check.ts';
import { referenceTo } from './identifier.ts';
import { checkNodes, nodes } from './nodes.ts';

const seconds = Type.Number({ exclusiveMinimum: 0, description: 'seconds' });

/** How long connecting, sending and reading may take, and all attempts together, each in seconds. */
export const timeout = Type.Object({
  connect: seconds,
  send: seconds,
  read: seconds,
  total: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      description: 'seconds until an answer must have begun, whatever the number of attempts',
    }),
  ),
});
export type Timeout = Static<typeof timeout>;

const tls = Type.Object(
  {
    client_cert_id: Type.Optional(referenceTo('ssls')),
    client_cert: Type.Optional(certificate),
    client_key: Type.Optional(privateKey),
    verify: Type.Optional(
      Type.Boolean({
        description: 'Whether the upstream certificate is verified; it is unless this says false.',
      }),
    ),
    ca_certs: Type.Optional(Type.Array(certificate, { minItems: 1 })),
  },
  {
    dependencies: {
      client_cert: { required: ['client_key'] },
      client_key: { required: ['client_cert'] },
      client_cert_id: { not: { required: ['client_cert', 'client_key'] } },
    },
  },
);

const slowStart = Type.Object(
  {
    slow_start_time_seconds: Type.Integer({ minimum: 1 }),
    min_weight_percent: Type.Integer({ minimum: 1, maximum: 100 }),
    interval: Type.Integer({ minimum: 1, default: 1 }),
    aggression: Type.Number({ minimum: 0.01, default: 1 }),
    startup_grace_period_seconds: Type.Integer({ minimum: 0, default: 0 }),
  },
  { additionalProperties: false },
);

const retryBudget = Type.Object(
  {
    percent: Type.Number({
      minimum: 0,
      maximum: 1000,
      default: 20,
      description: 'Retries without success that there may be for each 100 requests.',
    }),
    reserve: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 10,
      description: 'Retries that each worker can save up, and begins with.',
    }),
  },
  {
    additionalProperties: false,
    description: 'Keeps retries from burdening Targets that fail anyway.',
  },
);

const circuitBreaker = Type.Object(
  {
    failure_percent: Type.Number({
      exclusiveMinimum: 0,
      maximum: 100,
      default: 50,
      description: 'The share of failed requests at which it opens.',
    }),
    min_requests: Type.Integer({
      minimum: 1,
      default: 20,
      description: 'Requests in the window before the share means anything.',
    }),
    window_seconds: Type.Number({ exclusiveMinimum: 0, maximum: 3600, default: 10 }),
    open_seconds: Type.Number({
      exclusiveMinimum: 0,
      maximum: 3600,
      default: 5,
      description: 'For how long no request is sent, before probes are.',
    }),
    probes: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 1,
      description: 'Requests sent then; it closes when all of them succeed, and opens again when one fails.',
    }),
    http_statuses: Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
      minItems: 1,
      uniqueItems: true,
      default: [500, 502, 503, 504],
      description: 'Answers that count as failures, as no answer does.',
    }),
  },
  {
    additionalProperties: false,
    description: 'Answers 503 itself while too many requests to the Upstream fail.',
  },
);

export const upstream = Type.Object(
  {
    ...namedDescription,
    nodes: Type.Optional(nodes),
    slow_start: Type.Optional(slowStart),
    retries: Type.Optional(Type.Integer({ minimum: 0 })),
    retry_timeout: Type.Optional(Type.Number({ minimum: 0, description: 'seconds' })),
    retry_budget: Type.Optional(retryBudget),
    circuit_breaker: Type.Optional(circuitBreaker),
    timeout: Type.Optional(timeout),
    tls: Type.Optional(tls),
    keepalive_pool: Type.Optional(
      Type.Object({
        size: Type.Integer({ default: 320, minimum: 1 }),
        idle_timeout: Type.Number({ default: 60, minimum: 0, description: 'seconds' }),
        requests: Type.Integer({ default: 1000, minimum: 1 }),
      }),
    ),
    type: Type.Enum(['roundrobin', 'chash', 'least_conn', 'ewma'], {
      default: 'roundrobin',
      description: 'algorithms of load balancing',
    }),
    checks: Type.Optional(healthCheck),
    hash_on: Type.Enum(['vars', 'header', 'cookie', 'consumer', 'vars_combinations'], { default: 'vars' }),
    key: Type.Optional(Type.String({ description: 'the key of chash for dynamic load balancing' })),
    scheme: Type.Enum(['grpc', 'grpcs', 'http', 'https', 'tcp', 'tls', 'udp', 'kafka'], { default: 'http' }),
    discovery_type: Type.Optional(
      Type.String({
        description: 'Where the service is registered: `dns`, `consul`, `kubernetes` or `file`.',
      }),
    ),
    discovery_args: Type.Optional(
      Type.Object({
        namespace_id: Type.Optional(Type.String()),
        group_name: Type.Optional(Type.String()),
      }),
    ),
    pass_host: Type.Enum(['pass', 'node', 'rewrite'], {
      default: 'pass',
      description: 'mod of host passing',
    }),
    upstream_host: Type.Optional(host),
    proxy_protocol: Type.Optional(
      Type.Enum(['v1', 'v2'], {
        description:
          'Begin each connection to a Target with a PROXY protocol header of this version. Connections are not shared between clients then.',
      }),
    ),
    service_name: Type.Optional(
      Type.String({
        maxLength: 256,
        minLength: 1,
        description: 'The service whose Targets these are, as it is named where it is registered.',
      }),
    ),
  },
  {
    oneOf: [{ required: ['nodes'] }, { required: ['service_name', 'discovery_type'] }],
    additionalProperties: false,
  },
);
export type Upstream = Static<typeof upstream>;
export type RetryBudgetOptions = Static<typeof retryBudget>;
export type CircuitBreakerOptions = Static<typeof circuitBreaker>;
export type SlowStart = Static<typeof slowStart>;

/** An Upstream's retry budget, also where none is written. */
export function completeRetryBudget(written: unknown): RetryBudgetOptions {
  return withDefaults(retryBudget, written ?? {});
}

export function completeCircuitBreaker(written: unknown): CircuitBreakerOptions {
  return withDefaults(circuitBreaker, written);
}

export function completeSlowStart(written: unknown): SlowStart {
  return withDefaults(slowStart, written);
}

const HASH_KEYS: Readonly<Record<Upstream['hash_on'], Schema | undefined>> = {
  vars: Type.String({
    pattern:
      '^((uri|server_name|server_addr|request_uri|remote_port|remote_addr|query_string|host|hostname|mqtt_client_id)|arg_[0-9a-zA-z_-]+)$',
  }),
  header: Type.String({ pattern: '^[a-zA-Z0-9-_]+$' }),
  cookie: Type.String({ pattern: '^[a-zA-Z0-9-_]+$' }),
  consumer: undefined,
  vars_combinations: Type.String(),
};

/** What an Upstream's schema can't say, wherever an Upstream is written. */
export function checkUpstream(value: Upstream): string | undefined {
  const wrongNodes = checkNodes(value.nodes);
  if (wrongNodes !== undefined) return `invalid configuration: ${wrongNodes}`;
  if (value.proxy_protocol !== undefined && (value.scheme === 'grpc' || value.scheme === 'grpcs')) {
    return 'proxy_protocol is for one client per connection; with the scheme grpc many share one';
  }
  if (value.pass_host === 'rewrite' && !value.upstream_host) {
    return "`upstream_host` can't be empty when `pass_host` is `rewrite`";
  }
  if (value.tls?.client_cert !== undefined) {
    const wrong = checkCertificate(value.tls.client_cert, value.tls.client_key);
    if (wrong !== undefined) return wrong;
  }
  for (const pem of value.tls?.ca_certs ?? []) {
    const wrong = checkCertificate(pem);
    if (wrong !== undefined) return wrong;
  }
  if (value.type !== 'chash') return undefined;
  if (value.hash_on !== 'consumer' && value.key === undefined) return 'missing key';
  const keySchema = HASH_KEYS[value.hash_on];
  const wrong = keySchema && validate(keySchema, value.key);
  return wrong && `invalid configuration: ${wrong.message}`;
}

export const upstreams = defineResource({
  kind: 'upstreams',
  noun: 'upstream',
  summary: 'A set of Targets with a balancing algorithm, health checks, timeouts and retries.',
  schema: upstream,
  check: checkUpstream,
});
