// What a configuration may say, because APISIX's schema has it, and what nothing heeds yet. Silence
// would let people believe that their Targets are checked.

import { isObject } from '../lib/json.ts';
import { discoverySettings } from '../model/discovery.ts';
import type { Kind } from '../model/resource.ts';
import type { Settings } from '../model/settings.ts';

interface Written {
  readonly kind: Kind;
  readonly id: string;
  readonly value: unknown;
}

const KINDS: Partial<Record<Kind, string>> = {
  protos: 'gRPC is not transcoded yet',
  secrets: 'references to secrets are not resolved yet',
};

const REGISTRIES = Object.keys(discoverySettings.properties as object);
/** Those that need no section in the settings. */
const WITHOUT_SECTION = new Set(['dns', 'kubernetes']);

const SPOKEN: ReadonlySet<string> = new Set(['http', 'https', 'grpc', 'grpcs', 'tcp', 'tls', 'udp']);

/** One line for each thing that is configured and not heeded. */
export function withoutEffect(
  resources: Iterable<Written>,
  { listeners, discovery }: Pick<Settings, 'listeners' | 'discovery'>,
): string[] {
  const lines: string[] = [];
  const streams = listeners.some(({ protocol }) => protocol === 'tcp' || protocol === 'udp');
  for (const { kind, id, value } of resources) {
    const say = (field: string, why: string) => lines.push(`${kind}/${id}${field} has no effect: ${why}`);
    const reason = KINDS[kind];
    if (reason !== undefined) say('', reason);
    if (kind === 'stream_routes' && !streams) say('', 'no listener has the protocol tcp or udp');
    if (!isObject(value)) continue;
    if (kind === 'ssls' && value.type !== 'client' && !listeners.some(({ tls }) => tls)) {
      say('', 'no listener has tls');
    }
    if (kind === 'ssls' && Array.isArray(value.ssl_protocols) && value.ssl_protocols.includes('TLSv1.1')) {
      say(' TLSv1.1', 'it is not safe (RFC 8996), and TLS 1.2 and 1.3 only are spoken');
    }
    const upstream = kind === 'upstreams' ? value : value.upstream;
    if (!isObject(upstream)) continue;
    const prefix = kind === 'upstreams' ? ' ' : ' upstream.';
    const { scheme, type, discovery_type: registry } = upstream;
    if (typeof registry === 'string' && !Object.hasOwn(discovery, registry)) {
      if (!REGISTRIES.includes(registry))
        say(`${prefix}discovery_type`, `services are found by ${REGISTRIES.join(', ')}, not by ${registry}`);
      else if (!WITHOUT_SECTION.has(registry))
        say(`${prefix}discovery_type`, `the settings have no discovery.${registry}, so there are no Targets`);
    }
    if (upstream.discovery_args !== undefined) {
      say(`${prefix}discovery_args`, 'no registry that is asked here has such arguments');
    }
    if (upstream.slow_start !== undefined && (type === 'chash' || type === 'ewma')) {
      say(`${prefix}slow_start`, `with ${type} new Targets get their whole share at once`);
    }
    if (typeof scheme === 'string' && !SPOKEN.has(scheme)) {
      say(`${prefix}scheme`, `nothing speaks ${scheme} to Targets`);
    }
  }
  return lines;
}
