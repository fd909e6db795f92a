import type { CacheDirectives } from '../../lib/http-caching/cache-control.ts';
import type { Field } from '../../lib/http-caching/field-list.ts';
import type { StoredResponse, StoringPolicy } from '../../lib/http-caching/stored-response.ts';
import type { AccessExchange, CacheStatus, ResponseExchange } from '../exchange.ts';

/** What was decided about one request, for the field that tells of it. */
export interface CachingOutcome {
  readonly status: CacheStatus;
  /** Why it was forwarded; undefined for an answer from the cache. */
  readonly forwarded: string | undefined;
  /** Of the Upstream's response, when it was asked and the answer came from the cache. */
  readonly upstreamStatus: number | undefined;
  /** It will be stored. */
  readonly stored: boolean;
  /** It waited for another request's answer. */
  readonly collapsed: boolean;
  /** What is served or was validated. */
  readonly response: StoredResponse | undefined;
  /** Unix milliseconds. */
  readonly now: number;
}

/** By what two caching Plugins differ. */
export interface CachingRules {
  readonly policy: StoringPolicy;
  /** Methods whose responses are looked up and stored. */
  readonly methods: ReadonlySet<string>;
  /** The bytes of the largest body that is stored. */
  readonly maxBodyBytes: number;
  /** How long a request waits for another's answer, in milliseconds; 0 for not at all. */
  readonly collapseMs: number;
  /** The requests' own directives count. */
  readonly heedsRequest: boolean;
  /** Unsafe methods invalidate what they change (RFC 9111 4.4). */
  readonly invalidates: boolean;
  /** Conditional requests to the Upstream. */
  readonly validates: boolean;
  /** Answers for a Consumer are for that Consumer alone, unless the Upstream says `public`. */
  readonly isolatesConsumers: boolean;
  /** What a request asks for; undefined where it can't be cached. */
  resource(exchange: AccessExchange): string;
  /** What more keeps answers apart, though they are purged together; mostly empty. */
  apart(exchange: AccessExchange): string;
  /** The request goes past the cache. */
  bypasses(exchange: AccessExchange, directives: Readonly<CacheDirectives>): boolean;
  /** The response may be stored, whatever the policy says. */
  accepts(exchange: ResponseExchange, status: number): boolean;
  /** Fields that tell the client of the outcome. */
  marks(outcome: CachingOutcome): readonly Field[];
  /** Removes fields that a client should not see. */
  hides(exchange: ResponseExchange): void;
}
