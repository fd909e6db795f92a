import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry, NewCacheEntry, Purge } from '../cache.ts';

/** A Cache as simple as one can be: no bounds, nobody else. */
export class NaiveCache implements Cache {
  readonly name = 'naive';
  readonly maxBodyBytes = 1 << 20;
  #entries: (CacheEntry & { readonly body: Uint8Array })[] = [];
  #serial = 0;

  get entries(): readonly CacheEntry[] {
    return this.#entries;
  }

  find(resource: string, partition: string): readonly CacheEntry[] {
    return this.#entries.filter((entry) => entry.resource === resource && entry.partition === partition);
  }

  body({ id }: CacheEntry): Uint8Array | undefined {
    return this.#entries.find((entry) => entry.id === id)?.body;
  }

  put({ body: pieces, ...entry }: NewCacheEntry): void {
    const body = Buffer.concat(pieces);
    const words = JSON.stringify(entry.response.vary);
    this.#entries = this.#entries.filter(
      (old) =>
        old.resource !== entry.resource ||
        old.partition !== entry.partition ||
        JSON.stringify(old.response.vary) !== words,
    );
    this.#entries.unshift({ ...entry, id: String(this.#serial++), size: body.length, body });
  }

  refresh({ id }: CacheEntry, response: StoredResponse): void {
    this.#entries = this.#entries.map((entry) => (entry.id === id ? { ...entry, response } : entry));
  }

  remove({ id }: CacheEntry): void {
    this.#entries = this.#entries.filter((entry) => entry.id !== id);
  }

  depart(): 'nobody' {
    return 'nobody';
  }

  land(): void {}

  landed(): Promise<void> {
    return Promise.resolve();
  }

  purge({ by, value }: Purge): number {
    const before = this.#entries.length;
    this.#entries = this.#entries.filter((entry) => {
      if (by === 'tag') return !entry.tags.includes(value);
      return by === 'prefix' ? !entry.resource.startsWith(value) : entry.resource !== value;
    });
    return before - this.#entries.length;
  }
}
