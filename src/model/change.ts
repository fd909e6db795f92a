import type { Kind, Resource, Revision } from './resource.ts';

/** A resource that a Change removes. */
export interface Removal {
  readonly kind: Kind;
  readonly id: string;
}

/** The step from one revision to the next: applied whole or not at all, by the Store and by every worker. */
export interface Change {
  /** The revision that holds once the Change is applied. */
  readonly revision: Revision;
  readonly puts: readonly Resource[];
  readonly removals: readonly Removal[];
}
