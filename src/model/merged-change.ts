import type { Change, Removal } from './change.ts';
import type { Kind, Resource } from './resource.ts';
import { resourceKey } from './resource-index.ts';

interface Net {
  readonly kind: Kind;
  readonly id: string;
  /** What stood before goes, and a put goes to the end of the order. */
  readonly removed: boolean;
  readonly resource: Resource | undefined;
}

/** One Change that does what several do one after the other; at least one. */
export function mergedChange(changes: readonly Change[]): Change {
  const net = new Map<string, Net>();
  for (const { removals, puts } of changes) {
    for (const { kind, id } of removals) {
      const key = resourceKey(kind, id);
      net.delete(key);
      net.set(key, { kind, id, removed: true, resource: undefined });
    }
    for (const resource of puts) {
      const { kind, id } = resource;
      const key = resourceKey(kind, id);
      const before = net.get(key);
      if (before?.resource === undefined) net.delete(key);
      net.set(key, { kind, id, removed: before?.removed ?? false, resource });
    }
  }
  const all = [...net.values()];
  return {
    revision: changes.at(-1)!.revision,
    removals: all.filter(({ removed }) => removed).map(({ kind, id }): Removal => ({ kind, id })),
    puts: all.flatMap(({ resource }) => (resource === undefined ? [] : [resource])),
  };
}
