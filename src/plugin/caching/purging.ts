import { IpSet } from '../../lib/ip-range.ts';
import type { Cache, Purge } from '../cache.ts';
import type { AccessExchange } from '../exchange.ts';
import type { MaybePromise } from '../limits.ts';
import { type Reply, reply } from '../reply.ts';

/** Answers PURGE: from the addresses that may, by the tags it names, by prefix with a `*` at the end, else the resource itself. */
export class Purging {
  readonly #from: IpSet;
  readonly #cache: Cache;

  constructor(from: readonly string[], cache: Cache) {
    this.#from = new IpSet(from);
    this.#cache = cache;
  }

  /** `resource` is what the request itself names; `answer` makes the Reply of how many were forgotten. */
  access(exchange: AccessExchange, resource: string, answer: (count: number) => Reply): MaybePromise<Reply> {
    const { request } = exchange;
    if (!this.#from.has(request.clientAddress)) {
      return reply(403, { message: 'Your IP address may not purge' }, { reason: 'purge_refused' });
    }
    const tags = tagsOf((name) => request.headerValues(name));
    const wanted: Purge[] =
      tags.length > 0
        ? tags.map((value) => ({ by: 'tag', value }))
        : resource.endsWith('*')
          ? [{ by: 'prefix', value: resource.slice(0, -1) }]
          : [{ by: 'resource', value: resource }];
    const counts = wanted.map((what) => this.#cache.purge(what));
    if (!counts.some((count) => count instanceof Promise)) {
      return answer((counts as number[]).reduce((sum, count) => sum + count, 0));
    }
    return Promise.all(counts).then((all) => answer(all.reduce((sum, count) => sum + count, 0)));
  }
}

/** The tags of Surrogate-Key (words) and Cache-Tag (a list). */
export function tagsOf(values: (name: string) => readonly string[]): string[] {
  const tags = new Set<string>();
  for (const value of values('surrogate-key')) for (const tag of value.split(/\s+/)) tags.add(tag);
  for (const value of values('cache-tag')) for (const tag of value.split(',')) tags.add(tag.trim());
  tags.delete('');
  return [...tags];
}
