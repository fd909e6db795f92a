// Services whose Targets a registry knows: how an Upstream names one, and how each registry is
// reached. The sections have the names and the shape of `discovery` in APISIX's config.yaml.

import { isObject } from '../lib/json.ts';
import { type Static, Type } from '../lib/schema.ts';
import type { Value } from './resource.ts';

const closed = { additionalProperties: false };

/** A Target as a registry knows it. */
export interface DiscoveredTarget {
  readonly host: string;
  /** The scheme's usual one where the registry says none. */
  readonly port?: number | undefined;
  readonly weight: number;
  readonly priority: number;
}

/** All Targets of one service. */
export interface DiscoveredSet {
  /** As `serviceOf` names it. */
  readonly service: string;
  /** Undefined when nobody follows it any more. */
  readonly targets: readonly DiscoveredTarget[] | undefined;
}

export const dnsSettings = Type.Object(
  {
    servers: Type.Array(Type.String({ description: 'An IP address, with a port if it is not 53.' }), {
      description: 'DNS servers to ask; those of `resolver` when empty.',
      default: [],
    }),
    order: Type.Array(
      Type.Enum(['last', 'SRV', 'A', 'AAAA', 'CNAME'], { description: 'A type of records.' }),
      {
        description:
          'The types of records to ask for until there are some; `last` is the type that was found last. CNAMEs are followed in any case.',
        default: ['last', 'SRV', 'A', 'AAAA', 'CNAME'],
        minItems: 1,
        maxItems: 5,
        uniqueItems: true,
      },
    ),
  },
  { ...closed, description: 'Services in DNS.' },
);
export type DnsSettings = Static<typeof dnsSettings>;

export const consulSettings = Type.Object(
  {
    servers: Type.Array(
      Type.String({ pattern: '^https?://[^/?#]+/?$', description: 'A URL without a path.' }),
      {
        description: 'Where Consul answers, `http://host:port`. Each is asked for every service.',
        minItems: 1,
      },
    ),
    token: Type.String({ description: 'The ACL token.', default: '', secret: true }),
    weight: Type.Integer({
      description: 'Multiplies the weight that Consul has for an instance, which is 1 by default.',
      default: 1,
      minimum: 1,
    }),
    timeout: Type.Object(
      {
        connect: Type.Integer({ description: 'Milliseconds.', default: 2000, minimum: 1 }),
        read: Type.Integer({ description: 'Milliseconds.', default: 2000, minimum: 1 }),
        wait: Type.Integer({
          description: 'Seconds for which Consul may hold back an answer until something has changed.',
          default: 60,
          minimum: 1,
          maximum: 600,
        }),
      },
      {
        ...closed,
        description: 'How long to wait for it.',
        default: { connect: 2000, read: 2000, wait: 60 },
      },
    ),
    keepalive: Type.Boolean({
      description: 'Whether to wait for changes rather than to ask every `fetch_interval` seconds.',
      default: true,
    }),
    fetch_interval: Type.Integer({ description: 'Seconds.', default: 3, minimum: 1 }),
    default_service: Type.Optional(
      Type.Object(
        {
          host: Type.String({ description: 'A name or an address.', minLength: 1 }),
          port: Type.Integer({ description: 'Its port.', minimum: 1, maximum: 65535 }),
          metadata: Type.Optional(
            Type.Object(
              { weight: Type.Integer({ description: 'Its weight.', default: 1, minimum: 0 }) },
              { description: 'As in APISIX.' },
            ),
          ),
        },
        { ...closed, description: 'The only Target of a service that Consul does not know.' },
      ),
    ),
  },
  { ...closed, description: 'Services in Consul.' },
);
export type ConsulSettings = Static<typeof consulSettings>;

const textOrVariable = `A text, or \`\${NAME}\` for an environment variable.`;
/** Set in every pod. */
const HOST_VARIABLE = `\${KUBERNETES_SERVICE_HOST}`;
const PORT_VARIABLE = `\${KUBERNETES_SERVICE_PORT}`;
const FILES = '/var/run/secrets/kubernetes.io/serviceaccount';

export const kubernetesCluster = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9]{1,8}$',
        description: 'Tells several clusters apart: `id/namespace/name:port`.',
      }),
    ),
    service: Type.Object(
      {
        schema: Type.Enum(['http', 'https'], { default: 'https' }),
        host: Type.String({
          description: textOrVariable,
          default: HOST_VARIABLE,
          minLength: 1,
        }),
        port: Type.String({
          description: textOrVariable,
          default: PORT_VARIABLE,
          minLength: 1,
        }),
      },
      {
        ...closed,
        description: 'Where the API server is.',
        default: {
          schema: 'https',
          host: HOST_VARIABLE,
          port: PORT_VARIABLE,
        },
      },
    ),
    client: Type.Object(
      {
        token: Type.Optional(Type.String({ description: textOrVariable, secret: true })),
        token_file: Type.Optional(
          Type.String({
            description: `Read anew for each request; \`${FILES}/token\` where nothing else is said.`,
            minLength: 1,
          }),
        ),
        cert_file: Type.Optional(Type.String({ description: 'A client certificate in PEM.', minLength: 1 })),
        key_file: Type.Optional(Type.String({ description: 'Its key.', minLength: 1 })),
        ca_file: Type.Optional(
          Type.String({
            description: `Authorities in PEM; \`${FILES}/ca.crt\` if it is there.`,
            minLength: 1,
          }),
        ),
        ssl_verify: Type.Boolean({
          description: 'Whether the API server must prove who it is.',
          default: true,
        }),
      },
      {
        ...closed,
        description: 'Who asks.',
        default: { ssl_verify: true },
        dependencies: { cert_file: ['key_file'], key_file: ['cert_file'] },
      },
    ),
    label_selector: Type.Optional(
      Type.String({ description: 'Which EndpointSlices count, by their labels.', minLength: 1 }),
    ),
    default_weight: Type.Integer({ description: 'The weight of each Target.', default: 50, minimum: 0 }),
    watch_timeout_seconds: Type.Integer({
      description: 'Seconds after which the API server ends a watch, which then goes on.',
      default: 1800,
      minimum: 5,
      maximum: 86_400,
    }),
    watch_jitter_seconds: Type.Integer({
      description: 'Up to so many random seconds are added.',
      default: 990,
      minimum: 0,
      maximum: 86_400,
    }),
  },
  { ...closed, description: 'A cluster of Kubernetes.' },
);
export type KubernetesCluster = Static<typeof kubernetesCluster>;

export const kubernetesSettings = Type.Union(
  [kubernetesCluster, Type.Array(kubernetesCluster, { minItems: 1 })],
  {
    keyword: 'anyOf',
    description: 'Services in Kubernetes, in one cluster or, as a list with an `id` each, in several.',
  },
);
export type KubernetesSettings = Static<typeof kubernetesSettings>;

export const fileSettings = Type.Object(
  {
    path: Type.String({
      description: 'A YAML or JSON file, relative to the configuration file. Its changes are followed.',
      minLength: 1,
    }),
  },
  { ...closed, description: 'Services in a file: `services:` with the `nodes` of each, by name.' },
);
export type FileSettings = Static<typeof fileSettings>;

export const discoverySettings = Type.Object(
  {
    dns: Type.Optional(dnsSettings),
    consul: Type.Optional(consulSettings),
    kubernetes: Type.Optional(kubernetesSettings),
    file: Type.Optional(fileSettings),
  },
  {
    ...closed,
    description: 'Where services are found that Upstreams name by `discovery_type` and `service_name`.',
    default: {},
  },
);
export type DiscoverySettings = Static<typeof discoverySettings>;

/** The service that an Upstream names: `dns/orders.internal`. Undefined for one that has `nodes`. */
export function serviceOf({ discovery_type: type, service_name: name }: Value): string | undefined {
  return typeof type === 'string' && typeof name === 'string' ? `${type}/${name}` : undefined;
}

/** All services that a resource names, in Upstreams of its own and in those that its Plugins hold. */
export function servicesIn(value: Value): ReadonlySet<string> {
  let found = collect(value, undefined);
  if (isObject(value.upstream)) found = collect(value.upstream, found);
  if (isObject(value.plugins)) found = collectDeep(value.plugins, found);
  return found ?? NONE;
}

const NONE: ReadonlySet<string> = new Set();

function collect(value: Value, found: Set<string> | undefined): Set<string> | undefined {
  const service = serviceOf(value);
  return service === undefined ? found : (found ?? new Set()).add(service);
}

function collectDeep(value: unknown, found: Set<string> | undefined): Set<string> | undefined {
  if (Array.isArray(value)) for (const item of value) found = collectDeep(item, found);
  else if (isObject(value)) {
    found = collect(value, found);
    for (const name of Object.keys(value)) found = collectDeep(value[name], found);
  }
  return found;
}
