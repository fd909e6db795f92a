// The way of a request through a cache: look up, answer or go on, and keep what comes back. The
// rules of RFC 9111 are in lib/http-caching; where entries lie is the Cache's matter.

import { NO_DIRECTIVES, parseCacheControl } from '../../lib/http-caching/cache-control.ts';
import { type Field, FieldList } from '../../lib/http-caching/field-list.ts';
import { ageOf, mayReplaceError, reuseOf, suits } from '../../lib/http-caching/reuse.ts';
import type { ReceivedResponse } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry } from '../cache.ts';
import type { Outcome } from '../define-plugin.ts';
import {
  type AccessExchange,
  type CacheStatus,
  type RequestView,
  type ResponseExchange,
  slot,
} from '../exchange.ts';
import type { Kit } from '../kit.ts';
import type { MaybePromise } from '../limits.ts';
import { reply } from '../reply.ts';
import type { CacheTurn, ForwardReason } from './cache-turn.ts';
import type { CachingOutcome, CachingRules } from './caching-rules.ts';
import { confirm } from './confirming.ts';
import { Flights } from './flights.ts';
import { invalidated } from './invalidation.ts';
import { Keeping } from './keeping.ts';
import { Refreshing } from './refreshing.ts';
import { storedReply } from './stored-reply.ts';

/** Methods that change nothing (RFC 9110 9.2.1). */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const CONDITIONS = ['if-none-match', 'if-modified-since', 'range', 'if-range'];

export class ResponseCaching {
  readonly #turns = slot<CacheTurn>('cache');
  readonly #cache: Cache;
  readonly #rules: CachingRules;
  readonly #kit: Kit;
  readonly #flights: Flights;
  readonly #refreshing: Refreshing;
  readonly #keeping: Keeping;
  /** Where answers for everybody are kept: another configuration has other answers. */
  readonly #shared: Readonly<Record<'http' | 'https', string>>;

  constructor(cache: Cache, rules: CachingRules, kit: Kit) {
    this.#cache = cache;
    this.#rules = rules;
    this.#kit = kit;
    this.#shared = { http: `${kit.stateKey}|http`, https: `${kit.stateKey}|https` };
    this.#flights = new Flights(cache, kit, rules.collapseMs);
    const maxBodyBytes = Math.min(rules.maxBodyBytes, cache.maxBodyBytes);
    this.#refreshing = new Refreshing(cache, rules, kit, maxBodyBytes);
    this.#keeping = new Keeping(cache, rules, this.#flights, maxBodyBytes);
  }

  access(exchange: AccessExchange): MaybePromise<Outcome> {
    const { request } = exchange;
    const rules = this.#rules;
    const { method } = request;
    const directives = rules.heedsRequest
      ? parseCacheControl(request.headerValues('cache-control'))
      : NO_DIRECTIVES;
    const apart = rules.apart(exchange);
    const shared = apart === '' ? this.#shared[request.scheme] : this.#shared[request.scheme] + apart;
    const turn = newTurn(rules.resource(exchange), this.#partition(exchange, shared), shared, directives);
    if (!rules.methods.has(method) || exchange.upstream.method !== method) {
      return this.#forward(exchange, turn, 'method', method === 'POST' && rules.invalidates);
    }
    if (directives.noStore || rules.bypasses(exchange, directives)) {
      return this.#forward(exchange, turn, 'bypass', !directives.noStore);
    }
    // What speaks another protocol from here on, or is judged by the origin's own state.
    if (
      request.header('upgrade') !== undefined ||
      request.header('if-match') !== undefined ||
      request.header('if-unmodified-since') !== undefined
    )
      return this.#forward(exchange, turn, 'bypass', false);
    return this.#lookUp(exchange, turn);
  }

  #partition({ consumer }: AccessExchange, shared: string): string {
    return consumer !== undefined && this.#rules.isolatesConsumers
      ? `${shared}|${consumer.username}`
      : shared;
  }

  #lookUp(exchange: AccessExchange, turn: CacheTurn): MaybePromise<Outcome> {
    const own = this.#cache.find(turn.resource, turn.partition);
    const { shared } = turn;
    const others = shared === turn.partition ? NONE : this.#cache.find(turn.resource, shared);
    if (own instanceof Promise || others instanceof Promise) {
      return Promise.all([own, others]).then(([first, second]) =>
        this.#choose(exchange, turn, first, second),
      );
    }
    return this.#choose(exchange, turn, own, others);
  }

  #choose(
    exchange: AccessExchange,
    turn: CacheTurn,
    own: readonly CacheEntry[],
    shared: readonly CacheEntry[],
  ): MaybePromise<Outcome> {
    const { request } = exchange;
    const ours = own.find(({ response }) => suits(response, request));
    // What somebody unknown was answered is for such callers alone, unless it is public.
    const everybodys = shared.find(({ response }) => response.public && suits(response, request));
    // The Upstream may have changed its mind about whom its answers are for.
    const entry =
      ours === undefined || (everybodys?.response.receivedAt ?? 0) > ours.response.receivedAt
        ? everybodys
        : ours;
    const now = this.#kit.clock.now();
    if (entry === undefined) {
      const reason = own.length + shared.length > 0 ? 'vary-miss' : 'uri-miss';
      return this.#miss(exchange, turn, reason);
    }
    let reuse = reuseOf(entry.response, turn.directives, now);
    // The gateway itself can't ask in a Consumer's name, nor judge by rules that need a client's request.
    const asksItself = this.#rules.validates && entry.partition === turn.shared;
    if (reuse === 'revalidating' && !asksItself) reuse = 'validate';
    const body = reuse === 'validate' && !this.#rules.validates ? undefined : this.#cache.body(entry);
    if (body instanceof Promise) {
      return body.then((bytes) => this.#use(exchange, turn, entry, bytes, reuse, now));
    }
    return this.#use(exchange, turn, entry, body, reuse, now);
  }

  #use(
    exchange: AccessExchange,
    turn: CacheTurn,
    entry: CacheEntry,
    body: Uint8Array | undefined,
    reuse: ReturnType<typeof reuseOf>,
    now: number,
  ): MaybePromise<Outcome> {
    if (reuse === 'validate' || body === undefined) {
      const asked = ageOf(entry.response, now) < entry.response.lifetime && !entry.response.noCache;
      return this.#miss(exchange, turn, asked ? 'request' : 'stale', entry, body);
    }
    const { request } = exchange;
    const status: CacheStatus = reuse === 'fresh' ? 'hit' : reuse === 'stale' ? 'stale' : 'updating';
    if (reuse === 'revalidating') this.#refreshing.start(exchange, entry, turn.partition);
    exchange.cacheStatus = status;
    const added = this.#added(entry, now, {
      status,
      forwarded: undefined,
      upstreamStatus: undefined,
      stored: false,
      collapsed: turn.waitedFor !== undefined,
      response: entry.response,
      now,
    });
    return storedReply(entry.response, body, request.method, request, added, `cache_${status}`);
  }

  #miss(
    exchange: AccessExchange,
    turn: CacheTurn,
    reason: ForwardReason,
    entry?: CacheEntry,
    body?: Uint8Array,
  ): MaybePromise<Outcome> {
    // Its log phase is over: a flight that it began now would never land.
    if (exchange.ended) return undefined;
    if (turn.directives.onlyIfCached) {
      exchange.cacheStatus = 'miss';
      return reply(504, undefined, { reason: 'only_if_cached' });
    }
    const { request } = exchange;
    // A body that is not in the key could choose what others get.
    if (hasBody(request)) return this.#forward(exchange, turn, 'bypass', false);
    if (
      this.#rules.collapseMs > 0 &&
      request.method === 'GET' &&
      request.header('range') === undefined &&
      reason !== 'request' &&
      entry?.response.noCache !== true
    ) {
      const key = `${turn.partition} ${turn.resource}`;
      // Another worker's answer came and was not stored: waiting for the next one would be in vain.
      if (turn.waitedFor?.foreign) this.#flights.noteUncacheable(key);
      let flight = this.#flights.find(key);
      if (flight === undefined) {
        flight = this.#flights.begin(key);
        if (flight?.foreign === false) turn.flight = flight;
      }
      if (flight !== undefined && turn.flight === undefined && turn.waitedFor === undefined) {
        turn.waitedFor = flight;
        return this.#flights.wait(flight).then(() => this.#lookUp(exchange, turn));
      }
    }
    if (entry !== undefined && body !== undefined) {
      turn.entry = entry;
      turn.body = body;
      if (request.method === 'GET') this.#askForChanges(exchange, turn, entry);
    }
    return this.#forward(exchange, turn, reason, true);
  }

  /** Puts our conditions in the place of the client's, which are judged when the answer is there. */
  #askForChanges({ request }: AccessExchange, turn: CacheTurn, { response }: CacheEntry): void {
    if (!this.#rules.validates) return;
    const own = CONDITIONS.flatMap((name) => request.headerValues(name).map((value): Field => [name, value]));
    turn.conditions = new FieldList(own);
    for (const [name] of own) request.removeHeader(name);
    if (response.etag !== undefined) request.setHeader('If-None-Match', response.etag);
    const modified = new FieldList(response.fields).header('last-modified');
    if (modified !== undefined) request.setHeader('If-Modified-Since', modified);
  }

  #forward(exchange: AccessExchange, turn: CacheTurn, reason: ForwardReason, storing: boolean): undefined {
    turn.forwarded = reason;
    turn.storing = storing;
    turn.requestedAt = this.#kit.clock.now();
    exchange.set(this.#turns, turn);
    exchange.cacheStatus =
      reason === 'bypass' || reason === 'method' ? 'bypass' : reason === 'stale' ? 'expired' : 'miss';
    return undefined;
  }

  responseHeaders(exchange: ResponseExchange): void {
    const turn = exchange.get(this.#turns);
    if (turn !== undefined) {
      if (exchange.response.source === 'gateway') this.#onFailure(exchange, turn);
      else this.#onResponse(exchange, turn);
    }
    this.#rules.hides(exchange);
  }

  /** However it ended, nobody waits for it any more. */
  log(exchange: Pick<ResponseExchange, 'get'>): void {
    exchange.get(this.#turns)?.flight?.land();
  }

  /** The Upstream gave no answer, or a later Plugin gave its own. */
  #onFailure(exchange: ResponseExchange, turn: CacheTurn): void {
    const { entry } = turn;
    const now = this.#kit.clock.now();
    if (!exchange.upstreamAsked || exchange.response.status < 500) return;
    if (entry !== undefined && mayReplaceError(entry.response, now))
      this.#serve(exchange, turn, 'stale', now);
    else this.#mark(exchange, turn, false, now);
  }

  #onResponse(exchange: ResponseExchange, turn: CacheTurn): void {
    const { request, response } = exchange;
    const { entry } = turn;
    const { status } = response;
    const now = this.#kit.clock.now();
    const received: ReceivedResponse = {
      method: request.method,
      status,
      fields: new FieldList(response.originalHeaders()),
      request,
      requestedAt: turn.requestedAt,
      receivedAt: now,
    };
    if (turn.forwarded === 'method' && this.#rules.invalidates && !SAFE.has(request.method) && status < 400) {
      for (const value of invalidated(turn.resource, received.fields)) {
        void this.#cache.purge({ by: 'resource', value });
      }
      // What was asked for before the change is refused from now on; this very answer tells of it.
      turn.requestedAt = now + 1;
    }
    if (entry !== undefined && turn.conditions !== undefined && status === 304) {
      return this.#onConfirmed(exchange, turn, entry, received, now);
    }
    if (entry !== undefined && status >= 500 && status <= 504 && status !== 501) {
      if (mayReplaceError(entry.response, now)) return this.#serve(exchange, turn, 'stale', now);
    }
    if (request.method === 'HEAD') this.#keeping.compare(turn, received);
    const stored = turn.storing && this.#keeping.keep(exchange, turn, received);
    if (!stored) {
      if (turn.flight !== undefined) this.#flights.noteUncacheable(turn.flight.key);
      turn.flight?.land();
      // It is no longer what the Upstream has to say.
      if (entry !== undefined && request.method === 'GET' && status !== 206 && status < 500)
        this.#cache.remove(entry);
    }
    this.#mark(exchange, turn, stored, now);
  }

  #onConfirmed(
    exchange: ResponseExchange,
    turn: CacheTurn,
    entry: CacheEntry,
    received: ReceivedResponse,
    now: number,
  ): void {
    const response = confirm(this.#cache, entry, received, this.#rules.policy, turn.partition);
    turn.entry = { ...entry, response };
    this.#serve(exchange, turn, 'revalidated', now);
    turn.flight?.land();
  }

  /** Sends what is stored in the place of what came. */
  #serve(exchange: ResponseExchange, turn: CacheTurn, status: 'stale' | 'revalidated', now: number): void {
    const { request, response } = exchange;
    const entry = turn.entry!;
    const upstreamStatus = response.source === 'upstream' ? response.status : undefined;
    exchange.cacheStatus = status;
    const added = this.#added(entry, now, {
      status,
      forwarded: 'stale',
      upstreamStatus,
      stored: false,
      collapsed: false,
      response: entry.response,
      now,
    });
    response.replaceWith(
      storedReply(entry.response, turn.body!, request.method, turn.conditions ?? request, added, ''),
    );
  }

  #added(entry: CacheEntry, now: number, outcome: CachingOutcome): Field[] {
    const age: Field = ['Age', String(Math.floor(ageOf(entry.response, now) / 1000))];
    return [age, ...this.#rules.marks(outcome)];
  }

  #mark(exchange: ResponseExchange, turn: CacheTurn, stored: boolean, now: number): void {
    const fields = this.#rules.marks({
      status: exchange.cacheStatus || 'miss',
      forwarded: turn.forwarded,
      upstreamStatus: undefined,
      stored,
      collapsed: false,
      response: turn.entry?.response,
      now,
    });
    for (const [name, value] of fields) exchange.response.addHeader(name, value);
  }
}

/** Whether a GET has a body; a POST that is stored under its target alone was configured so. */
function hasBody(request: RequestView): boolean {
  if (request.method === 'POST') return false;
  const length = request.header('content-length');
  return (length !== undefined && length !== '0') || request.header('transfer-encoding') !== undefined;
}

const NONE: readonly CacheEntry[] = [];

function newTurn(
  resource: string,
  partition: string,
  shared: string,
  directives: CacheTurn['directives'],
): CacheTurn {
  return {
    resource,
    partition,
    shared,
    directives,
    forwarded: 'uri-miss',
    storing: true,
    requestedAt: 0,
    entry: undefined,
    body: undefined,
    conditions: undefined,
    flight: undefined,
    waitedFor: undefined,
  };
}
