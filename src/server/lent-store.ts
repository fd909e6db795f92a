import type { Change } from '../model/change.ts';
import { type Store, StoreAwayError, type StoreContent } from '../model/store.ts';

/**
 * A Store that only one process may hold, and that goes to the next one when it takes over. While it
 * is away, writes are refused, and whoever wants one is told to try again.
 */
export class LentStore implements Store {
  readonly #open: () => Promise<Store>;
  #store: Store | undefined;

  constructor(store: Store, open: () => Promise<Store>) {
    this.#store = store;
    this.#open = open;
  }

  load(): Promise<StoreContent> {
    return this.#held().load();
  }

  async write(change: Change): Promise<void> {
    await this.#held().write(change);
  }

  /** Resolves when another process can have it, and what was being written is durable. */
  async letGo(): Promise<void> {
    const store = this.#store;
    this.#store = undefined;
    await store?.close();
  }

  /** Opens it again, and resolves to what it holds now. */
  async takeBack(): Promise<StoreContent> {
    const store = await this.#open();
    const content = await store.load();
    this.#store = store;
    return content;
  }

  close(): Promise<void> {
    return this.letGo();
  }

  #held(): Store {
    if (this.#store === undefined)
      throw new StoreAwayError('a new process is taking over the store; try again in a moment');
    return this.#store;
  }
}
