import { consul } from './consul.ts';
import type { DiscoveryDefinition } from './discovery.ts';
import { dns } from './dns.ts';
import { file } from './file.ts';
import { kubernetes } from './kubernetes.ts';

/** The registries that an Upstream's `discovery_type` may name. */
export const discoveries: readonly DiscoveryDefinition[] = [dns, consul, kubernetes, file];
