import type { Change } from './change.ts';
import { KINDS, type Kind, type Resource, type Revision } from './resource.ts';

/**
 * All resources at one revision.
 *
 * A Snapshot has one writer and moves from revision to revision by `apply`, in place: copying
 * 60 000 resources for each changed Credential would stall the writer. The single thread that owns
 * it makes the step atomic for everything that reads it (docs/decisions/0003-snapshots-move.md).
 */
export class Snapshot {
  #revision: Revision = 0;
  readonly #tables = new Map<Kind, Map<string, Resource>>(KINDS.map((kind) => [kind, new Map()]));

  get revision(): Revision {
    return this.#revision;
  }

  get(kind: Kind, id: string): Resource | undefined {
    return this.#table(kind).get(id);
  }

  has(kind: Kind, id: string): boolean {
    return this.#table(kind).has(id);
  }

  /** The resources of a kind, in order of creation. */
  list(kind: Kind): IterableIterator<Resource> {
    return this.#table(kind).values();
  }

  count(kind: Kind): number {
    return this.#table(kind).size;
  }

  /** Moves to the Change's revision. Never fails: whoever makes a Change has validated it. */
  apply(change: Change): void {
    for (const { kind, id } of change.removals) this.#table(kind).delete(id);
    for (const resource of change.puts) this.#table(resource.kind).set(resource.id, resource);
    this.#revision = change.revision;
  }

  /** Every resource, for a worker that starts, a file or a data plane. */
  all(): Resource[] {
    return [...this.#tables.values()].flatMap((table) => [...table.values()]);
  }

  #table(kind: Kind): Map<string, Resource> {
    return this.#tables.get(kind)!;
  }
}
