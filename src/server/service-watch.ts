// Follows the services that Upstreams name, once for the whole process: in the main thread, so that
// a registry is asked once and not by every worker. Imported when the first Upstream names one.

import { setTimeout as pause } from 'node:timers/promises';
import type { Discovery, DiscoverySurroundings } from '../discovery/discovery.ts';
import { discoveries } from '../discovery/index.ts';
import { deepEqual } from '../lib/json.ts';
import { validate, withDefaults } from '../lib/json-schema.ts';
import type { Change } from '../model/change.ts';
import {
  type DiscoveredSet,
  type DiscoveredTarget,
  type DiscoverySettings,
  servicesIn,
} from '../model/discovery.ts';
import type { Value } from '../model/resource.ts';
import type { Logger } from '../plugin/kit.ts';

export interface ServiceWatchOptions {
  readonly settings: DiscoverySettings;
  readonly dnsServers: readonly string[];
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly log: Logger;
  /** Told of each set that differs from the last one of its service. */
  onSet(set: DiscoveredSet): void;
}

/** How long whoever names a new service waits for its Targets: a registry that is down must not hold up a Change. */
const FIRST_ANSWER_MS = 1000;
/**
 * A service that no Upstream names any more is let go after once to twice so long: well after the
 * workers have heard of the Change, which may wait for other services first, and most Changes that
 * remove a name bring it back.
 */
const LINGER_MS = 2000;

interface Followed {
  readonly service: string;
  targets: readonly DiscoveredTarget[] | undefined;
  problem: string | undefined;
  /** Resolves with the first answer, or the first trouble. */
  readonly settled: Promise<void>;
  stop: () => void;
}

export class ServiceWatch {
  readonly #options: ServiceWatchOptions;
  readonly #registries = new Map<string, Discovery | undefined>();
  readonly #followed = new Map<string, Followed>();
  /** The services that each resource names, by `kind/id`. */
  readonly #named = new Map<string, ReadonlySet<string>>();
  /** Those that nobody named when it was last looked. */
  #unnamed: ReadonlySet<string> = new Set();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ServiceWatchOptions) {
    this.#options = options;
  }

  /** To be called before others hear of the Change; resolves when the services that are new in it are known, or soon won't be. */
  async apply({ puts, removals }: Pick<Change, 'puts' | 'removals'>): Promise<void> {
    for (const { kind, id } of removals) this.#named.delete(`${kind}/${id}`);
    const fresh: Followed[] = [];
    for (const { kind, id, value } of puts) {
      const services = servicesIn(value as Value);
      if (services.size === 0) this.#named.delete(`${kind}/${id}`);
      else this.#named.set(`${kind}/${id}`, services);
      for (const service of services) if (!this.#followed.has(service)) fresh.push(this.#follow(service));
    }
    this.#sweeper ??= setTimeout(() => this.#sweep(), LINGER_MS).unref();
    if (fresh.length === 0) return;
    const waiting = new AbortController();
    await Promise.race([
      Promise.all(fresh.map(({ settled }) => settled)),
      pause(FIRST_ANSWER_MS, undefined, { signal: waiting.signal }).catch(() => {}),
    ]);
    waiting.abort();
  }

  /** Undefined while nothing is known of it. */
  targets(service: string): readonly DiscoveredTarget[] | undefined {
    return this.#followed.get(service)?.targets;
  }

  /** All that is known. */
  sets(): readonly DiscoveredSet[] {
    return [...this.#followed.values()].map(({ service, targets }) => ({ service, targets }));
  }

  /** What one registry has told, by the service's name; undefined for a registry that nobody has named. */
  view(type: string): DiscoveryView | undefined {
    const own = [...this.#followed.values()].filter(({ service }) => service.startsWith(`${type}/`));
    if (own.length === 0) return undefined;
    const named = <T>(pick: (one: Followed) => T | undefined): Record<string, T> =>
      Object.fromEntries(
        own.flatMap((one) => {
          const value = pick(one);
          return value === undefined ? [] : [[one.service.slice(type.length + 1), value] as const];
        }),
      );
    return { services: named(({ targets }) => targets), problems: named(({ problem }) => problem) };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#sweeper);
    for (const { stop } of this.#followed.values()) stop();
  }

  #sweep(): void {
    const named = new Set([...this.#named.values()].flatMap((services) => [...services]));
    const unnamed = [...this.#followed.values()].filter(({ service }) => !named.has(service));
    const over = unnamed.filter(({ service }) => this.#unnamed.has(service));
    this.#unnamed = new Set(unnamed.filter((one) => !over.includes(one)).map(({ service }) => service));
    for (const { service, stop, targets } of over) {
      stop();
      this.#followed.delete(service);
      if (targets !== undefined) this.#options.onSet({ service, targets: undefined });
    }
    this.#sweeper = this.#unnamed.size === 0 ? undefined : setTimeout(() => this.#sweep(), LINGER_MS).unref();
  }

  #follow(service: string): Followed {
    const { log, onSet } = this.#options;
    const { promise: settled, resolve } = Promise.withResolvers<void>();
    const followed: Followed = { service, targets: undefined, problem: undefined, settled, stop: () => {} };
    this.#followed.set(service, followed);
    const slash = service.indexOf('/');
    const registry = this.#registry(service.slice(0, slash));
    if (registry === undefined) {
      resolve();
      return followed;
    }
    followed.stop = registry.watch(service.slice(slash + 1), {
      onTargets: (found) => {
        const targets = inOrder(found);
        if (!this.#closed && !deepEqual(targets, followed.targets)) {
          followed.targets = targets;
          log.info(`${service} has ${targets.length} Target${targets.length === 1 ? '' : 's'}`, {
            targets: targets.map(({ host, port }) => (port === undefined ? host : `${host}:${port}`)),
          });
          onSet({ service, targets });
        }
        resolve();
      },
      onTrouble: (problem) => {
        if (problem !== undefined && followed.problem === undefined)
          log.warn(`${service} can't be followed, its last Targets hold: ${problem}`);
        else if (problem === undefined && followed.problem !== undefined)
          log.info(`${service} is followed again`);
        followed.problem = problem;
        if (problem !== undefined) resolve();
      },
    });
    return followed;
  }

  #registry(type: string): Discovery | undefined {
    if (this.#registries.has(type)) return this.#registries.get(type);
    const { settings, dnsServers, folder } = this.#options;
    const definition = discoveries.find(({ name }) => name === type);
    const written = (settings as Readonly<Record<string, unknown>>)[type] ?? {};
    let registry: Discovery | undefined;
    // What nobody can ask has been warned of where it was configured.
    if (definition !== undefined && validate(definition.config, written) === undefined) {
      const surroundings: DiscoverySurroundings = {
        delay: (milliseconds, signal) =>
          pause(milliseconds, undefined, { signal, ref: false }).catch(() => {}),
        random: Math.random,
        environment: process.env,
        dnsServers,
        folder,
      };
      registry = definition.create(withDefaults(definition.config, written) as never, surroundings);
    }
    this.#registries.set(type, registry);
    return registry;
  }
}

/** What the Admin API shows of a registry. */
export interface DiscoveryView {
  readonly services: Readonly<Record<string, readonly DiscoveredTarget[]>>;
  /** Why services can't be followed at present. */
  readonly problems: Readonly<Record<string, string>>;
}

/** Sorted and each address once: registries answer in any order, and several of them may know the same. */
function inOrder(targets: readonly DiscoveredTarget[]): readonly DiscoveredTarget[] {
  const byAddress = new Map(targets.map((target) => [`${target.host} ${target.port ?? ''}`, target]));
  return [...byAddress.keys()].sort().map((key) => byAddress.get(key)!);
}
