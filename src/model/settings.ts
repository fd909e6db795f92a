// All that the declarative file says besides resources: how the process itself runs.

import { IpSet } from '../lib/ip-range.ts';
import { isObject } from '../lib/json.ts';
import { type SchemaError, validate, withDefaults } from '../lib/json-schema.ts';
import { type Schema, type Static, Type } from '../lib/schema.ts';
import { withHint } from '../lib/schema-check.ts';
import { discoverySettings, kubernetesCluster } from './discovery.ts';
import { parseAddress } from './listen-address.ts';
import { listener, listenerProblem } from './listener.ts';

const closed = { additionalProperties: false };

/**
 * An object all of whose fields have defaults, so that it may be left out whole. `absent` says what
 * is different then.
 */
function section<P extends Parameters<typeof Type.Object>[0]>(
  properties: P,
  description: string,
  absent: Readonly<Record<string, unknown>> = {},
) {
  // The validator takes a default as it is, without filling in the defaults inside.
  const byDefault = Object.fromEntries(
    Object.entries(properties).map(([name, field]) => [name, field.default]),
  );
  return Type.Object(properties, { ...closed, description, default: { ...byDefault, ...absent } });
}

function address(description: string, byDefault: string): Schema<string>;
function address(description: string): Schema<string>;
function address(description: string, byDefault?: string): Schema<string> {
  return Type.String({
    description: `${description} \`host:port\`, an IPv6 address in brackets.`,
    minLength: 1,
    ...(byDefault !== undefined && { default: byDefault }),
  });
}

function ranges(description: string, byDefault: readonly string[]): Schema<readonly string[]> {
  return Type.Array(
    Type.String({ description: 'An address or a range such as `10.0.0.0/8`.', minLength: 1 }),
    {
      description,
      default: byDefault,
    },
  );
}

function seconds(description: string, byDefault: number): Schema<number> {
  return Type.Number({ description, default: byDefault, minimum: 0, maximum: 86_400 });
}

function count(description: string, byDefault: number, minimum = 0): Schema<number> {
  return Type.Integer({ description, default: byDefault, minimum });
}

const adminKey = Type.Object(
  {
    name: Type.String({ description: 'A name for people and for logs.', minLength: 1 }),
    key: Type.String({
      description: 'The secret that a caller sends in `X-API-KEY`.',
      minLength: 1,
      secret: true,
    }),
    role: Type.Enum(['admin', 'viewer'], {
      description: '`admin` may change everything, `viewer` may only read.',
      default: 'admin',
    }),
  },
  { ...closed, description: 'A key of the Admin API.' },
);

const admin = section(
  {
    enabled: Type.Boolean({
      description: 'Whether the Admin API is served. It is not where the file has no `admin`.',
      default: true,
    }),
    address: address('Where the Admin API listens:', '127.0.0.1:9180'),
    keys: Type.Array(adminKey, { description: 'Who may use the Admin API.', default: [] }),
    allow: ranges('The addresses from which the Admin API may be used.', ['127.0.0.0/8', '::1']),
  },
  'The Admin API.',
  // Who writes where it listens, or with what keys, wants it; a file that is silent about it doesn't.
  { enabled: false },
);

const client = section(
  {
    header_timeout: seconds('Seconds in which the head of a request must arrive; 0 for no limit.', 10),
    body_timeout: seconds('Seconds that may pass between two parts of a request body; 0 for no limit.', 60),
    keepalive_timeout: seconds('Seconds that an idle connection is kept open; 0 for no limit.', 60),
    send_timeout: seconds('Seconds in which a client must take more of an answer; 0 for no limit.', 60),
    keepalive_requests: count('Requests on one connection before it is closed; 0 for no limit.', 1000),
    max_uri_bytes: count('Bytes of the longest request target.', 8192, 1),
    max_header_bytes: count('Bytes of the largest request head.', 32_768, 1),
    max_headers: count('The most header fields of a request.', 100, 1),
    max_body_bytes: count('Bytes of the largest request body; 0 for no limit.', 0),
    max_connections: count('Connections of clients that may be open at once; 0 for no limit.', 0),
    max_connections_per_address: count(
      'Connections that may be open at once from one address; 0 for no limit.',
      0,
    ),
    max_udp_sessions: count('Clients of UDP that each worker serves at once.', 4096, 1),
  },
  'What clients may do, and for how long.',
);

const accessLog = section(
  {
    path: Type.String({ description: 'A file, `-` for stdout, or `off`.', default: '-', minLength: 1 }),
    redact: Type.Array(
      Type.String({
        description: 'The name of a query parameter; case, `-` and `_` make no difference.',
        minLength: 1,
      }),
      {
        description: 'Whose values are not to be logged, besides those that never are.',
        default: [],
      },
    ),
  },
  'The access log: a line of JSON for every request.',
);

const metrics = section(
  {
    enabled: Type.Boolean({ description: 'Whether metrics are served for Prometheus.', default: true }),
    address: address('Where metrics are served:', '127.0.0.1:9091'),
  },
  'Metrics in the format of Prometheus.',
);

const status = section(
  {
    enabled: Type.Boolean({
      description: 'Whether they have an address of their own. They have not where the file has no `status`.',
      default: true,
    }),
    address: address('Where they are answered:', '127.0.0.1:7085'),
  },
  '`/status` and `/status/ready`, which the address of the metrics answers in any case.',
  { enabled: false },
);

const tls = section(
  {
    fallback_sni: Type.String({
      description:
        'The name taken for clients that name nobody, such as those that connect to an address. Where it is empty, an SSL for `*` answers them, or nobody.',
      default: '',
      pattern: '^[0-9a-zA-Z._-]*$',
    }),
    ticket_rotation: Type.Integer({
      description:
        'Seconds after which the key of session tickets is replaced. Clients then make one full handshake.',
      default: 43_200,
      minimum: 60,
      maximum: 604_800,
    }),
  },
  'Listeners with `tls`.',
);

const acme = section(
  {
    domains: Type.Array(
      Type.String({
        description: 'A name that leads here, without `*`.',
        pattern: '^[0-9a-zA-Z](?:[0-9a-zA-Z-]*[0-9a-zA-Z])?(?:\\.[0-9a-zA-Z](?:[0-9a-zA-Z-]*[0-9a-zA-Z])?)+$',
        maxLength: 253,
      }),
      {
        description:
          'Names to get certificates for, one for each. Who lists any agrees to the terms of the authority.',
        default: [],
        uniqueItems: true,
      },
    ),
    directory: Type.String({
      description: "The certificate authority's directory, a URL.",
      default: 'https://acme-v02.api.letsencrypt.org/directory',
      pattern: '^https://[^/]+/',
    }),
    directory_ca: Type.String({
      description: 'A PEM file of whom to trust for the directory, where it is an authority of your own.',
      default: '',
    }),
    email: Type.String({
      description: 'Where the authority may send warnings.',
      default: '',
      pattern: '^$|^[^@\\s]+@[^@\\s]+$',
    }),
    challenge: Type.Enum(['http-01', 'tls-alpn-01'], {
      description:
        'How the authority sees that a name is ours: on port 80 (`http-01`) or on port 443 (`tls-alpn-01`).',
      default: 'http-01',
    }),
  },
  'Certificates from an authority that speaks ACME, such as Let’s Encrypt, obtained and renewed.',
);

const bytes = (byDefault: number, description: string) =>
  Type.Integer({ minimum: 65_536, maximum: Number.MAX_SAFE_INTEGER, default: byDefault, description });

const cache = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, description: 'By which Plugins name it.' }),
    memory_bytes: bytes(
      50 * 1024 * 1024,
      'Bytes of memory for it: all of it, or the index of what is on disk.',
    ),
    disk_path: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'A folder of its own, relative to `data_dir`, for a zone on disk.',
      }),
    ),
    disk_bytes: bytes(1024 * 1024 * 1024, 'Bytes that a zone on disk takes there.'),
    redis_host: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'A Redis through which gateways on several machines share a zone in memory.',
      }),
    ),
    redis_port: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 65_535, description: 'Its port; 6379 unless given.' }),
    ),
    redis_username: Type.Optional(Type.String({ minLength: 1, description: 'User name for Redis.' })),
    redis_password: Type.Optional(Type.String({ secret: true, description: 'Password for Redis.' })),
    redis_database: Type.Optional(Type.Integer({ minimum: 0, description: 'Number of the Redis database.' })),
    redis_ssl: Type.Optional(Type.Boolean({ description: 'Connect to Redis by TLS.' })),
    redis_ssl_verify: Type.Optional(Type.Boolean({ description: 'Verify the certificate of Redis.' })),
    redis_decision_timeout: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 60_000,
        description:
          'Milliseconds that a request waits for Redis before the Upstream is asked; 50 unless given.',
      }),
    ),
  },
  { ...closed, description: 'A zone for stored responses.' },
);

export const settings = Type.Object(
  {
    listeners: Type.Array(listener, {
      description: 'Where traffic is accepted.',
      default: [{ address: '127.0.0.1:9080' }],
      minItems: 1,
    }),
    admin,
    workers: Type.Integer({
      description: 'Threads that carry traffic; 0 for as many as there are cores.',
      default: 0,
      minimum: 0,
      maximum: 127,
    }),
    trusted_addresses: ranges(
      'Hops in front of this one whose `X-Forwarded-*` and `X-Real-IP` are believed.',
      [],
    ),
    client,
    tls,
    acme,
    access_log: accessLog,
    metrics,
    status,
    plugins: Type.Array(Type.String({ description: 'The path of a `.ts` or `.js` file.', minLength: 1 }), {
      description: 'Files of your own Plugins, relative to the configuration file.',
      default: [],
    }),
    data_dir: Type.String({
      description: 'The folder for what is kept between starts.',
      default: '.sluice',
      minLength: 1,
    }),
    resolver: section(
      {
        servers: Type.Array(Type.String({ description: 'An IP address, with a port if it is not 53.' }), {
          description: "DNS servers to ask; the system's when empty.",
          default: [],
        }),
      },
      'How names of Targets are looked up.',
    ),
    geo: section(
      {
        databases: Type.Array(
          Type.String({ description: 'The path of a file in the format of MaxMind DB.', minLength: 1 }),
          {
            description:
              'Files that know where addresses are, relative to the configuration file; of what two know, the first is believed. Changed files are loaded anew.',
            default: [],
          },
        ),
      },
      'Where clients are: the variables `geoip2_*`.',
    ),
    discovery: discoverySettings,
    shutdown: section(
      { grace: seconds('Seconds that running requests get to end when the process is stopped.', 30) },
      'How the process stops.',
    ),
    watchdog: section(
      {
        timeout: seconds(
          'Seconds for which a worker may stand still, as in an endless loop of a Plugin, before it is ended and replaced; 0 for no limit.',
          10,
        ),
      },
      'What ends a worker that serves nobody any more.',
    ),
    caches: Type.Array(cache, {
      description: 'Zones in which http-cache and proxy-cache store responses.',
      // As in APISIX. Nothing is taken before a Route uses it.
      default: [
        { name: 'memory_cache', memory_bytes: 50 * 1024 * 1024, disk_bytes: 1024 * 1024 * 1024 },
        {
          name: 'disk_cache_one',
          memory_bytes: 50 * 1024 * 1024,
          disk_path: 'cache/disk_cache_one',
          disk_bytes: 1024 * 1024 * 1024,
        },
      ],
    }),
    max_collected_bytes: count(
      'Bytes of the largest body that a Plugin may hold in memory.',
      16 * 1024 * 1024,
    ),
  },
  { ...closed, description: 'What the declarative file says besides resources.' },
);
export type Settings = Static<typeof settings>;

/** What is wrong with settings: the way to the place and why. */
export interface SettingsError {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Settings with their defaults, or all that is wrong with them, one error for each top-level field at most. */
export function checkSettings(
  written: Readonly<Record<string, unknown>>,
):
  | { readonly settings: Settings; readonly errors: readonly [] }
  | { readonly errors: readonly SettingsError[] } {
  const errors: SettingsError[] = [];
  for (const [name, value] of Object.entries(written)) {
    const wrong = preciseProblem(name, value, validate(settings, { [name]: value }));
    if (wrong !== undefined) errors.push({ path: wrong.path, message: withHint(wrong) });
  }
  if (errors.length > 0) return { errors };
  const complete = withDefaults(settings, written);
  errors.push(...wrongTexts(complete));
  return errors.length > 0 ? { errors } : { settings: complete, errors: [] };
}

/** Of a value that may be one of two things, a schema can only say that it is neither. */
function preciseProblem(name: string, value: unknown, wrong: SchemaError | undefined) {
  const clusters = name === 'discovery' && isObject(value) ? value.kubernetes : undefined;
  if (wrong === undefined || wrong.path[1] !== 'kubernetes' || clusters === undefined) return wrong;
  for (const [index, cluster] of (Array.isArray(clusters) ? clusters : [clusters]).entries()) {
    const found = validate(kubernetesCluster, cluster);
    const place = ['discovery', 'kubernetes', ...(Array.isArray(clusters) ? [index] : [])];
    if (found !== undefined) return { ...found, path: [...place, ...found.path] };
  }
  return wrong;
}

/** The settings of a file that says none. */
export function defaultSettings(): Settings {
  return withDefaults(settings, {});
}

/** Addresses and ranges, which a schema can't check. */
function wrongTexts({ listeners, admin, metrics, status, trusted_addresses }: Settings): SettingsError[] {
  const errors: SettingsError[] = [];
  const attempt = (path: SettingsError['path'], parse: () => unknown) => {
    try {
      parse();
    } catch (error) {
      errors.push({ path, message: error instanceof Error ? error.message : String(error) });
    }
  };
  listeners.forEach((listener, index) => {
    attempt(['listeners', index, 'address'], () => parseAddress(listener.address));
    const wrong = listenerProblem(listener, trusted_addresses.length > 0);
    if (wrong !== undefined) errors.push({ path: ['listeners', index, wrong.field], message: wrong.message });
  });
  attempt(['admin', 'address'], () => parseAddress(admin.address));
  attempt(['metrics', 'address'], () => parseAddress(metrics.address));
  attempt(['status', 'address'], () => parseAddress(status.address));
  admin.allow.forEach((range, index) => {
    attempt(['admin', 'allow', index], () => new IpSet([range]));
  });
  trusted_addresses.forEach((range, index) => {
    attempt(['trusted_addresses', index], () => new IpSet([range]));
  });
  return errors;
}
