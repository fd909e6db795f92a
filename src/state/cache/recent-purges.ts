import type { Purge } from '../../plugin/cache.ts';
import type { SharedEntry } from './cache-message.ts';

/** No response is under way for longer, or it is not stored. */
const REMEMBERED_MS = 300_000;
const MOST = 10_000;
/** Each is compared with each response that comes. */
const MOST_PREFIXES = 100;

type Concerned = Pick<SharedEntry, 'resource' | 'tags' | 'response'>;

/** Purges of late, so that a response that was asked for before one is not stored after it. */
export class RecentPurges {
  readonly #rememberMs: number;
  /** When what was purged last, the oldest first; Unix milliseconds. */
  readonly #latest: Readonly<Record<Purge['by'], Map<string, number>>> = {
    resource: new Map(),
    prefix: new Map(),
    tag: new Map(),
  };
  /** Everything asked for before is suspect: more purges came than are remembered. */
  #all = 0;

  constructor(rememberMs: number = REMEMBERED_MS) {
    this.#rememberMs = rememberMs;
  }

  /** `at` in Unix milliseconds. */
  note({ by, value }: Purge, at: number): void {
    const latest = this.#latest[by];
    const before = latest.get(value) ?? 0;
    latest.delete(value);
    latest.set(value, Math.max(before, at));
    const most = by === 'prefix' ? MOST_PREFIXES : MOST;
    for (const [oldest, then] of latest) {
      if (at - then < this.#rememberMs) {
        if (latest.size <= most) return;
        this.#all = Math.max(this.#all, then);
      }
      latest.delete(oldest);
    }
  }

  /** Whether a response was asked for before a purge that concerns it. */
  concern({ resource, tags, response }: Concerned): boolean {
    const since = response.requestedAt;
    const { resource: resources, tag, prefix } = this.#latest;
    if (since <= this.#all || (resources.get(resource) ?? -1) >= since) return true;
    if (tag.size > 0 && tags.some((one) => (tag.get(one) ?? -1) >= since)) return true;
    for (const [start, at] of prefix) if (at >= since && resource.startsWith(start)) return true;
    return false;
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
