import type { Change } from '../model/change.ts';
import type { Revision } from '../model/resource.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { SnapshotDigest } from '../model/snapshot-digest.ts';

interface Entry {
  readonly change: Change;
  /** Of all resources after the Change. */
  readonly digest: string;
  /** Unix milliseconds. */
  readonly at: number;
}

/** So many steps back a data plane is brought up to date step by step; older ones get everything. */
const MOST_ENTRIES = 1_000;
/** A large Change is cheaper to send as everything than to keep beside everything. */
const MOST_RESOURCES = 20_000;

/** The latest Changes of a control plane, for data planes that follow. */
export class ChangeHistory {
  readonly #digest = new SnapshotDigest();
  readonly #snapshot: Snapshot;
  #base: { readonly revision: Revision; readonly digest: string };
  #entries: Entry[] = [];
  #size = 0;
  readonly #waiting = new Set<() => void>();

  /** `snapshot` must have moved to a Change before it is recorded. */
  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    const { revision } = snapshot;
    this.#digest.apply({ revision, puts: snapshot.all(), removals: [] });
    this.#base = { revision, digest: this.#digest.text };
  }

  get revision(): Revision {
    return this.#snapshot.revision;
  }

  get digest(): string {
    return this.#digest.text;
  }

  record(change: Change): void {
    this.#digest.apply(change);
    this.#entries.push({ change, digest: this.#digest.text, at: Date.now() });
    this.#size += sizeOf(change);
    while (this.#entries.length > MOST_ENTRIES || this.#size > MOST_RESOURCES) {
      const [{ change: oldest, digest }] = this.#entries.splice(0, 1);
      this.#base = { revision: oldest.revision, digest };
      this.#size -= sizeOf(oldest);
    }
    for (const wake of [...this.#waiting]) wake();
  }

  /** The Changes since a state, or undefined when that state is unknown here. */
  since(revision: Revision, digest: string): readonly Change[] | undefined {
    if (revision === this.#base.revision && digest === this.#base.digest) return this.#changesFrom(0);
    const index = this.#entries.findLastIndex(
      (entry) => entry.change.revision === revision && entry.digest === digest,
    );
    return index === -1 ? undefined : this.#changesFrom(index + 1);
  }

  /** What the digest was at a revision, or undefined where that isn't known any more. */
  digestAt(revision: Revision): string | undefined {
    if (revision === this.#base.revision) return this.#base.digest;
    return this.#entries.findLast(({ change }) => change.revision === revision)?.digest;
  }

  /** Unix milliseconds since when there has been something newer than a revision, or undefined. */
  newerSince(revision: Revision): number | undefined {
    return this.#entries.find(({ change }) => change.revision > revision)?.at;
  }

  /** Resolves with true when something is recorded, with false after a time or when the signal says so. */
  moved(milliseconds: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (moved: boolean) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#waiting.delete(wake);
        resolve(moved);
      };
      const wake = () => end(true);
      const onAbort = () => end(false);
      const timer = setTimeout(end, milliseconds, false);
      signal.addEventListener('abort', onAbort);
      this.#waiting.add(wake);
      if (signal.aborted) onAbort();
    });
  }

  #changesFrom(index: number): readonly Change[] {
    return this.#entries.slice(index).map(({ change }) => change);
  }
}

function sizeOf({ puts, removals }: Change): number {
  return puts.length + removals.length;
}
