import type { Schema, Static } from '../lib/schema.ts';
import type { DiscoveredTarget } from '../model/discovery.ts';

/** What follows a service is told; never after the function that `watch` returned was called. */
export interface DiscoveryListener {
  /** With every answer of the registry: all Targets, none of a service that it doesn't know. */
  onTargets(targets: readonly DiscoveredTarget[]): void;
  /** Why the registry can't be asked, what to do about it, and no secret; undefined once it can. The last Targets hold meanwhile. */
  onTrouble(problem: string | undefined): void;
}

/** A registry that is asked. */
export interface Discovery {
  /**
   * Follows one service, named as in an Upstream's `service_name`, until the returned function is
   * called. What fails is tried again for ever, ever more seldom; nothing here throws.
   */
  watch(service: string, listener: DiscoveryListener): () => void;
}

/** What a Discovery may use of the world besides its registry. */
export interface DiscoverySurroundings {
  /** Resolves after so many milliseconds, or at once when the signal aborts. */
  delay(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** In [0, 1). */
  random(): number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Name servers to ask where its own section names none: `address` or `address:port`. */
  readonly dnsServers: readonly string[];
  /** What relative paths are relative to. */
  readonly folder: string;
}

export interface DiscoveryDefinition {
  /** An Upstream's `discovery_type`, and the section of `discovery` in the settings. */
  readonly name: string;
  /** One sentence for docs and console. */
  readonly summary: string;
  /** Of its section. One that takes `{}` needs no section. */
  readonly config: Schema;
  /** Once per process, when the first Upstream names it. */
  create(config: never, surroundings: DiscoverySurroundings): Discovery;
}

/** Defines a registry. `create` gets its section with the defaults filled in. */
export function defineDiscovery<S extends Schema>(definition: {
  readonly name: string;
  readonly summary: string;
  readonly config: S;
  create(config: Static<S>, surroundings: DiscoverySurroundings): Discovery;
}): DiscoveryDefinition {
  return definition;
}
