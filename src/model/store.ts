import type { Change } from './change.ts';
import type { Resource, Revision } from './resource.ts';

/** What a Store holds when it is opened. */
export interface StoreContent {
  readonly revision: Revision;
  readonly resources: readonly Resource[];
}

/**
 * Where resources are kept. One conformance suite for all: stores/store.conformance.ts.
 *
 * Lifecycle: 1. `open` once; 2. `load` once; 3. `write` any number of times, one at a time or
 * concurrently; 4. `close` once, after which nothing may be called.
 */
export interface Store {
  /** Everything that was acknowledged before, at one revision. */
  load(): Promise<StoreContent>;
  /**
   * Resolves when the Change is durable (survives SIGKILL and power loss), whole; rejects when
   * nothing of it was kept. Changes are kept in the order of the calls.
   */
  write(change: Change): Promise<void>;
  close(): Promise<void>;
}
