import { FieldList } from '../../lib/http-caching/field-list.ts';
import { type ReceivedResponse, storingOf } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry } from '../cache.ts';
import type { AccessExchange } from '../exchange.ts';
import type { Kit } from '../kit.ts';
import type { OwnResponse } from '../own-request.ts';
import type { CachingRules } from './caching-rules.ts';
import { confirm } from './confirming.ts';
import { tagsOf } from './purging.ts';

/** Fields of the client's request that ask for something else than the whole response as it is now. */
const NOT_SENT = new Set([
  'if-none-match',
  'if-modified-since',
  'range',
  'if-range',
  'cache-control',
  'pragma',
]);

/** Fetches anew, in the background, what is served stale meanwhile (RFC 5861 3). */
export class Refreshing {
  readonly #cache: Cache;
  readonly #rules: CachingRules;
  readonly #kit: Kit;
  readonly #maxBodyBytes: number;
  readonly #underWay = new Set<string>();

  constructor(cache: Cache, rules: CachingRules, kit: Kit, maxBodyBytes: number) {
    this.#cache = cache;
    this.#rules = rules;
    this.#kit = kit;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** Begins unless it is under way already. `partition` is that of the caller, whose fields go along. */
  start(exchange: AccessExchange, entry: CacheEntry, partition: string): void {
    const { destination, upstream, request } = exchange;
    if (destination === undefined || this.#underWay.has(entry.id)) return;
    const { response } = entry;
    const headers = request.headers().filter(([name]) => !NOT_SENT.has(name.toLowerCase()));
    const sent = new FieldList(headers.slice());
    const conditions: [string, string][] = [];
    if (response.etag !== undefined) conditions.push(['If-None-Match', response.etag]);
    const modified = new FieldList(response.fields).header('last-modified');
    if (modified !== undefined) conditions.push(['If-Modified-Since', modified]);
    const host = upstream.host === undefined ? [] : [['Host', upstream.host] as const];
    const requestedAt = this.#kit.clock.now();
    this.#underWay.add(entry.id);
    void this.#kit
      .send({
        upstream: destination,
        method: 'GET',
        target: upstream.query === '' ? upstream.path : `${upstream.path}?${upstream.query}`,
        headers: [
          ...headers.filter(([name]) => host.length === 0 || name.toLowerCase() !== 'host'),
          ...host,
          ...conditions,
        ],
        // Or an answer would be kept that the Upstream gives when it knows neither scheme nor host.
        onBehalfOf: exchange,
        maxBodyBytes: this.#maxBodyBytes,
      })
      .then(
        (answer) => this.#take(entry, partition, answer, sent, requestedAt),
        (error: Error) =>
          this.#kit.log.debug('a stored response could not be refreshed', {
            error: error.message,
          }),
      )
      .finally(() => this.#underWay.delete(entry.id));
  }

  #take(
    entry: CacheEntry,
    caller: string,
    answer: OwnResponse,
    request: FieldList,
    requestedAt: number,
  ): void {
    const fields = new FieldList(answer.headers);
    const received: ReceivedResponse = {
      method: 'GET',
      status: answer.status,
      fields,
      request,
      requestedAt,
      receivedAt: this.#kit.clock.now(),
    };
    const { policy } = this.#rules;
    if (answer.status === 304) {
      confirm(this.#cache, entry, received, policy, caller);
      return;
    }
    // An Upstream in trouble will be asked again while the old response may be used.
    if (answer.status >= 500) return;
    const storing = storingOf(received, policy);
    const { resource, partition } = entry;
    // What came may be for that caller alone, as far as nobody says that it is public.
    if (storing.stored === undefined || (partition !== caller && !storing.isPublic)) {
      this.#cache.remove(entry);
      return;
    }
    const tags = tagsOf((name) => fields.headerValues(name));
    void this.#cache.put({ resource, partition, response: storing.stored, tags, body: [answer.body] });
  }
}
