import type { Purge } from '../../plugin/cache.ts';
import type { SharedEntry } from './cache-message.ts';

/** No response is under way for longer, or it is not stored. */
const REMEMBERED_MS = 300_000;
const MOST = 10_000;

/** Purges of late, so that a response that was asked for before one is not stored after it. */
export class RecentPurges {
  readonly #rememberMs: number;
  readonly #resources = new Map<string, number>();
  #others: { readonly what: Purge; readonly at: number }[] = [];
  /** Everything asked for before is suspect: more purges came than are remembered. */
  #all = 0;

  constructor(rememberMs: number = REMEMBERED_MS) {
    this.#rememberMs = rememberMs;
  }

  /** `at` in Unix milliseconds. */
  note(what: Purge, at: number): void {
    if (what.by !== 'resource') {
      this.#others = this.#others.filter((other) => at - other.at < this.#rememberMs);
      if (this.#others.length === MOST) this.#all = Math.max(this.#all, this.#others.shift()!.at);
      this.#others.push({ what, at });
      return;
    }
    this.#resources.delete(what.value);
    this.#resources.set(what.value, at);
    for (const [resource, earlier] of this.#resources) {
      if (at - earlier < this.#rememberMs) {
        if (this.#resources.size <= MOST) break;
        this.#all = Math.max(this.#all, earlier);
      }
      this.#resources.delete(resource);
    }
  }

  /** Whether a response was asked for before a purge that concerns it, or so long ago that nobody knows. */
  concern(entry: Pick<SharedEntry, 'resource' | 'tags' | 'response'>, now: number): boolean {
    const since = entry.response.requestedAt;
    if (since <= this.#all) return true;
    const resource = this.#resources.get(entry.resource);
    if (resource !== undefined && resource >= since) return true;
    return this.#others.some(
      ({ what, at }) => at >= since && now - at < REMEMBERED_MS && concerns(what, entry),
    );
  }
}

/** Whether a purge means an entry. */
export function concerns(
  { by, value }: Purge,
  { resource, tags }: Pick<SharedEntry, 'resource' | 'tags'>,
): boolean {
  if (by === 'tag') return tags.includes(value);
  return by === 'prefix' ? resource.startsWith(value) : resource === value;
}
