import { deepEqual, deepFreeze } from '../../lib/json.ts';
import type { Change } from '../../model/change.ts';
import type { WrittenResource } from '../../model/configuration.ts';
import { DEFAULT_WORKSPACE, type Resource, type Revision } from '../../model/resource.ts';
import type { Snapshot } from '../../model/snapshot.ts';

/**
 * The step from a Snapshot to what a file says, at `revision`; undefined when that is the same.
 *
 * Resources that say the same are not in it; those that are changed keep their createdRevision. The
 * values are taken as they are, and frozen: whoever applies the Change has checked them.
 */
export function diff(
  snapshot: Snapshot,
  resources: readonly WrittenResource[],
  revision: Revision,
): Change | undefined {
  const kept = new Set<Resource>();
  const puts: Resource[] = [];
  for (const { kind, id, value } of resources) {
    const before = snapshot.get(kind, id);
    if (before !== undefined) kept.add(before);
    if (before !== undefined && deepEqual(before.value, value)) continue;
    puts.push(
      Object.freeze({
        kind,
        id,
        workspace: before?.workspace ?? DEFAULT_WORKSPACE,
        createdRevision: before?.createdRevision ?? revision,
        modifiedRevision: revision,
        value: deepFreeze(value),
      }),
    );
  }
  const removals = snapshot
    .all()
    .filter((resource) => !kept.has(resource))
    .map(({ kind, id }) => ({ kind, id }));
  return puts.length + removals.length > 0 ? { revision, puts, removals } : undefined;
}
