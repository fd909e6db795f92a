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

/**
 * A Store that several processes write to. It stands at the revision that it has loaded, written or
 * handed over last, and keeps a Change only where that is the newest one: what was planned on
 * something older rejects with StoreMovedError. Suite: stores/shared-store.conformance.ts.
 */
export interface SharedStore extends Store {
  /**
   * Hands over what others have written since, in order: Change by Change, or everything at once
   * where the steps are no longer known. When `take` throws, the Store stands where it stood.
   */
  catchUp(take: (step: Change | StoreContent) => void): Promise<void>;
  /** Calls the listener whenever there may be something to catch up with. One listener. */
  watch(listener: () => void): void;
}

/** Nothing was kept, because somebody else wrote first: plan it again on what holds now. */
export class StoreMovedError extends Error {
  override readonly name = 'StoreMovedError';
}

/** Nothing can be kept at present. The message is for whoever wanted it, and holds no secret. */
export class StoreAwayError extends Error {
  override readonly name = 'StoreAwayError';
}
