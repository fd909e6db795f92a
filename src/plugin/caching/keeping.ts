import { FieldList } from '../../lib/http-caching/field-list.ts';
import { type ReceivedResponse, storingOf } from '../../lib/http-caching/stored-response.ts';
import type { Cache } from '../cache.ts';
import type { ResponseExchange } from '../exchange.ts';
import type { CacheTurn } from './cache-turn.ts';
import type { CachingRules } from './caching-rules.ts';
import { Capture } from './capture.ts';
import { confirm } from './confirming.ts';
import type { Flights } from './flights.ts';
import { sameResource } from './invalidation.ts';
import { tagsOf } from './purging.ts';

/** Puts responses of the Upstream's into the cache, as far as they may be. */
export class Keeping {
  readonly #cache: Cache;
  readonly #rules: CachingRules;
  readonly #flights: Flights;
  readonly #maxBodyBytes: number;

  constructor(cache: Cache, rules: CachingRules, flights: Flights, maxBodyBytes: number) {
    this.#cache = cache;
    this.#rules = rules;
    this.#flights = flights;
    this.#maxBodyBytes = maxBodyBytes;
  }

  /** What HEAD says of a stored response (RFC 9111 4.3.5). */
  compare({ entry, partition }: CacheTurn, received: ReceivedResponse): void {
    if (entry === undefined || received.status !== 200) return;
    const { fields } = received;
    const old = new FieldList(entry.response.fields);
    const length = fields.header('content-length');
    const same =
      ['etag', 'last-modified'].every(
        (name) => fields.header(name) === undefined || fields.header(name) === old.header(name),
      ) &&
      (length === undefined || Number(length) === entry.size);
    if (same) confirm(this.#cache, entry, received, this.#rules.policy, partition);
    else this.#cache.remove(entry);
  }

  /** Arranges that the response is kept when it is complete; whether it may be. */
  keep(exchange: ResponseExchange, turn: CacheTurn, received: ReceivedResponse): boolean {
    const { request, response } = exchange;
    const { method } = request;
    if (method !== 'GET' && method !== 'POST') return false;
    if (
      method === 'POST' &&
      !this.#rules.methods.has('POST') &&
      !sameResource(turn.resource, received.fields)
    )
      return false;
    if (!this.#rules.accepts(exchange, received.status)) return false;
    const bodiless = received.status === 204;
    const length = received.fields.header('content-length');
    if (length !== undefined && Number(length) > this.#maxBodyBytes) return false;
    // Where the end of the body is the end of the connection, nobody knows whether it was all.
    if (!bodiless && length === undefined && received.fields.header('transfer-encoding') === undefined)
      return false;
    const storing = storingOf({ ...received, requestedAt: turn.requestedAt }, this.#rules.policy);
    if (storing.stored === undefined) return false;
    const partition = storing.isPublic ? turn.shared : turn.partition;
    const { stored } = storing;
    const tags = tagsOf((name) => received.fields.headerValues(name));
    const { resource, flight } = turn;
    if (flight !== undefined && (stored.noCache || stored.lifetime <= stored.initialAge)) {
      // Others will have to ask for themselves.
      this.#flights.noteUncacheable(flight.key);
      flight.land();
    }
    const keep = (body: readonly Uint8Array[] | undefined): void => {
      if (body === undefined) {
        flight?.land();
        return;
      }
      const kept = this.#cache.put({ resource, partition, response: stored, tags, body });
      if (flight === undefined) return;
      if (kept instanceof Promise) void kept.then(flight.land);
      else flight.land();
    };
    if (bodiless) keep([]);
    else response.filterBody(new Capture(this.#maxBodyBytes, keep));
    return true;
  }
}
