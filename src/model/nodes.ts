import { type Schema, type Static, Type } from '../lib/schema.ts';
import { host } from './address.ts';
import type { DiscoveredTarget } from './discovery.ts';

const weight = Type.Integer({ minimum: 0, description: 'weight of node' });

/** A Target as it is written in the list form of `nodes`. */
const entry = Type.Object({
  host,
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: 'port of node' })),
  weight,
  priority: Type.Integer({ default: 0, description: 'priority of node' }),
  metadata: Type.Optional(
    Type.Unsafe<Readonly<Record<string, unknown>>>({ type: 'object', description: 'metadata of node' }),
  ),
});

/** An Upstream's `nodes`: weights by `host:port`, or a list. */
export const nodes: Schema<Readonly<Record<string, number>> | readonly Static<typeof entry>[]> = Type.Union(
  [
    Type.Unsafe<Readonly<Record<string, number>>>({ type: 'object', patternProperties: { '.*': weight } }),
    Type.Array(entry),
  ],
  { keyword: 'anyOf' },
);
export type Nodes = Static<typeof nodes>;

const ADDRESS = /^(?:\[[0-9a-fA-F:.]+\]|[0-9a-zA-Z-._]+|[0-9a-fA-F]*:[0-9a-fA-F:.]*)(?::(\d{1,5}))?$/;

/** What the schema can't say. */
export function checkNodes(value: Nodes | undefined): string | undefined {
  for (const address of Object.keys(Array.isArray(value) ? {} : (value ?? {}))) {
    const match = ADDRESS.exec(address);
    const port = Number(match?.[1] ?? 1);
    if (match === null || port < 1 || port > 65535) return `invalid node address ${address}`;
  }
  return undefined;
}

/** Both forms as a list. */
export function writtenTargets(value: Nodes): readonly DiscoveredTarget[] {
  if (Array.isArray(value)) {
    return (value as readonly Static<typeof entry>[]).map(({ host, port, weight, priority = 0 }) => ({
      host,
      port,
      weight,
      priority,
    }));
  }
  return Object.entries(value as Readonly<Record<string, number>>).map(([address, weight]) => {
    const match = /^(.*?)(?::(\d+))?$/.exec(address)!;
    // An IPv6 address without brackets has colons of its own and no port.
    const bare = address.split(':').length > 2 && !address.startsWith('[');
    return {
      host: bare ? address : match[1],
      port: bare || match[2] === undefined ? undefined : Number(match[2]),
      weight,
      priority: 0,
    };
  });
}
