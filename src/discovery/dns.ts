import { type DiscoveredTarget, type DnsSettings, dnsSettings } from '../model/discovery.ts';
import {
  type Discovery,
  type DiscoveryListener,
  type DiscoverySurroundings,
  defineDiscovery,
} from './discovery.ts';
import type { DnsRecord, RecordType } from './dns-message.ts';
import { keepAsking } from './keep-asking.ts';
import { NameClient } from './name-client.ts';

export const dns = defineDiscovery({
  name: 'dns',
  summary: 'Follows SRV, A or AAAA records.',
  config: dnsSettings,
  create: (config, surroundings) => new Dns(config, surroundings),
});

/** Bounds of how long an answer holds, in ms, as for the names of Targets. */
const SHORTEST_MS = 1000;
const LONGEST_MS = 3_600_000;
/** After an answer that there are no records. */
const ABSENT_MS = 2000;

interface Found {
  readonly targets: readonly DiscoveredTarget[];
  /** Seconds. */
  readonly ttl: number;
}

class Dns implements Discovery {
  readonly #client: NameClient;
  readonly #order: DnsSettings['order'];
  readonly #surroundings: DiscoverySurroundings;

  constructor({ servers, order }: DnsSettings, surroundings: DiscoverySurroundings) {
    this.#client = new NameClient(servers.length > 0 ? servers : surroundings.dnsServers);
    this.#order = order;
    this.#surroundings = surroundings;
  }

  watch(service: string, listener: DiscoveryListener): () => void {
    const [, name, written] = /^(.*?)(?::(\d{1,5}))?$/s.exec(service)!;
    const port = written === undefined ? undefined : Number(written);
    let last: RecordType | undefined;
    return keepAsking(
      async (signal) => {
        for (const type of this.#typesFrom(last)) {
          const records = await this.#client.query(name, type, signal);
          if (records.length === 0) continue;
          last = type;
          const { targets, ttl } = await this.#targetsOf(records, port, signal);
          if (!signal.aborted) listener.onTargets(targets);
          return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ttl * 1000));
        }
        if (!signal.aborted) listener.onTargets([]);
        return ABSENT_MS;
      },
      listener,
      this.#surroundings,
    );
  }

  #typesFrom(last: RecordType | undefined): ReadonlySet<RecordType> {
    const types = this.#order.map((type) => (type === 'last' ? last : type));
    return new Set(types.filter((type) => type !== undefined && type !== 'CNAME'));
  }

  async #targetsOf(
    records: readonly DnsRecord[],
    port: number | undefined,
    signal: AbortSignal,
  ): Promise<Found> {
    const found = await Promise.all(
      records.map(async (record): Promise<Found> => {
        if (record.type !== 'SRV') {
          const target = { host: record.address, port, weight: 1, priority: 0 };
          return { targets: [target], ttl: record.ttl };
        }
        const addresses = record.target === '' ? [] : await this.#addresses(record.target, signal);
        // Several addresses of one name share its weight; 0 is to have a very small chance (RFC 2782).
        const weight = Math.max(1, Math.round(record.weight / Math.max(1, addresses.length)));
        const targets = addresses.map(({ address }) => ({
          host: address,
          port: port ?? (record.port === 0 ? undefined : record.port),
          weight,
          // SRV's smallest is the first to be used, a Target's largest.
          priority: record.priority === 0 ? 0 : -record.priority,
        }));
        return { targets, ttl: Math.min(record.ttl, ...addresses.map(({ ttl }) => ttl)) };
      }),
    );
    return {
      targets: found.flatMap(({ targets }) => targets),
      ttl: Math.min(...found.map(({ ttl }) => ttl)),
    };
  }

  async #addresses(name: string, signal: AbortSignal) {
    for (const type of ['A', 'AAAA'] as const) {
      const records = await this.#client.query(name, type, signal);
      if (records.length > 0) return records.filter((record) => record.type !== 'SRV');
    }
    return [];
  }
}
