import { isIP } from 'node:net';
import type { Target } from '../balancers/balancer.ts';
import type { ProxyVersion } from '../http/proxy-header.ts';
import type { TlsOptions } from '../http/socket-transport.ts';
import { type DiscoveredTarget, serviceOf } from '../model/discovery.ts';
import { ConfigError } from '../model/errors.ts';
import { completeHealthCheck, type HealthCheck } from '../model/health-check.ts';
import { type Nodes, writtenTargets } from '../model/nodes.ts';
import type { Value } from '../model/resource.ts';
import type { Snapshot } from '../model/snapshot.ts';
import {
  completeCircuitBreaker,
  completeRetryBudget,
  completeSlowStart,
  type SlowStart,
  type Timeout,
} from '../model/upstream.ts';
import { timeoutsOf, type UpstreamOptions } from './upstream.ts';

/** An Upstream as configured (APISIX's shape), the parts that this thread uses. */
interface UpstreamValue {
  readonly nodes?: Nodes;
  readonly type?: string;
  readonly scheme?: string;
  readonly pass_host?: 'pass' | 'node' | 'rewrite';
  readonly upstream_host?: string;
  readonly retries?: number;
  readonly retry_timeout?: number;
  readonly timeout?: Timeout;
  readonly checks?: Partial<HealthCheck>;
  readonly slow_start?: unknown;
  readonly retry_budget?: unknown;
  readonly circuit_breaker?: unknown;
  readonly keepalive_pool?: { size?: number; idle_timeout?: number; requests?: number };
  readonly proxy_protocol?: ProxyVersion;
  readonly tls?: {
    verify?: boolean;
    client_cert?: string;
    client_key?: string;
    client_cert_id?: string;
    ca_certs?: readonly string[];
  };
}
/** The schemes by which Targets are spoken to over TLS. */
const TLS_SCHEMES: ReadonlySet<string> = new Set(['https', 'grpcs', 'tls']);

/** The Targets of a service; undefined while nothing is known of it. */
export type DiscoveredTargets = (service: string) => readonly DiscoveredTarget[] | undefined;

/** Seconds to connect, between writes, between reads, where nothing is configured. */
const DEFAULT_TIMEOUT = { connect: 60, send: 60, read: 60 };

export function upstreamOptions(
  value: Value,
  key: string,
  id: string,
  snapshot: Snapshot,
  discovered?: DiscoveredTargets,
): UpstreamOptions & { readonly value: Value } {
  const upstream = value as UpstreamValue;
  const service = serviceOf(value);
  const found = service === undefined ? writtenTargets(upstream.nodes ?? {}) : (discovered?.(service) ?? []);
  const scheme = TLS_SCHEMES.has(upstream.scheme ?? '') ? 'https' : 'http';
  const http2 = upstream.scheme === 'grpc' || upstream.scheme === 'grpcs';
  const pool = upstream.keepalive_pool ?? {};
  const proxyProtocol = upstream.proxy_protocol;
  const [tls, tlsKey] = scheme === 'https' ? tlsOptions(upstream, snapshot) : [undefined, ''];
  return {
    key,
    id,
    value,
    service,
    targets: completeTargets(found, scheme),
    scheme,
    http2,
    passHost: upstream.pass_host ?? 'pass',
    upstreamHost: upstream.upstream_host ?? '',
    retries: upstream.retries,
    retryTimeout: (upstream.retry_timeout ?? 0) * 1000,
    timeouts: timeoutsOf(upstream.timeout ?? DEFAULT_TIMEOUT),
    idleTimeout: upstream.timeout && Math.max(upstream.timeout.send, upstream.timeout.read) * 1000,
    proxyProtocol,
    pool: {
      // Whoever a connection was announced for is the only one who may use it.
      size: proxyProtocol === undefined ? (pool.size ?? 320) : 0,
      idleTimeout: (pool.idle_timeout ?? 60) * 1000,
      maxRequests: pool.requests ?? 1000,
    },
    tls,
    tlsKey,
    checks: upstream.checks && completeHealthCheck(upstream.checks),
    slowStart: slowStartOf(upstream),
    retryBudget: completeRetryBudget(upstream.retry_budget),
    circuitBreaker:
      upstream.circuit_breaker === undefined ? undefined : completeCircuitBreaker(upstream.circuit_breaker),
  };
}

/** Where weights mean nothing, or which Target is right is a matter of the key, all get all at once. */
function slowStartOf({ type, slow_start }: UpstreamValue): SlowStart | undefined {
  return slow_start === undefined || type === 'chash' || type === 'ewma'
    ? undefined
    : completeSlowStart(slow_start);
}

/** Targets with the scheme's port where none is written. */
export function completeTargets(
  targets: readonly DiscoveredTarget[],
  scheme: UpstreamOptions['scheme'],
): readonly Target[] {
  const usual = scheme === 'https' ? 443 : 80;
  return targets.map(({ host, port = usual, weight, priority }) => ({
    host,
    port,
    weight,
    priority,
    key: `${host}:${port}`,
  }));
}

function tlsOptions(upstream: UpstreamValue, snapshot: Snapshot): [TlsOptions, string] {
  const { tls = {} } = upstream;
  let cert = tls.client_cert;
  let key = tls.client_key;
  if (tls.client_cert_id !== undefined) {
    const ssl = snapshot.get('ssls', String(tls.client_cert_id));
    if (ssl === undefined) throw new ConfigError(`no ssl with id ${tls.client_cert_id}`);
    cert = ssl.value.cert as string;
    key = ssl.value.key as string;
  }
  const verify = tls.verify ?? true;
  const servername = upstream.pass_host === 'rewrite' ? nameOf(upstream.upstream_host ?? '') : undefined;
  const options: TlsOptions = {
    rejectUnauthorized: verify,
    ...(servername !== undefined && { servername }),
    ...(cert !== undefined && { cert, key }),
    ...(tls.ca_certs !== undefined && { ca: [...tls.ca_certs] }),
  };
  const authorities = tls.ca_certs?.join() ?? '';
  return [options, `tls|${verify}|${servername ?? ''}|${cert ?? ''}|${key ?? ''}|${authorities}`];
}

/** A host without its port: what a certificate is for. An address is asked for by no name (RFC 6066 3). */
function nameOf(host: string): string | undefined {
  const name = host.replace(/:\d+$/, '');
  return name === '' || isIP(name.replace(/^\[|\]$/g, '')) !== 0 ? undefined : name;
}
