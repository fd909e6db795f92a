import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { Purge } from '../../plugin/cache.ts';

/** Where a body lies: in memory that all threads share, or in a file; `used` is shared, too. */
export type BodyPlace = SharedArrayBuffer | { readonly file: string; readonly used: SharedArrayBuffer };

/** An entry as it crosses threads. */
export interface SharedEntry {
  readonly id: string;
  /** The number of the worker that made it, and that decides how long it stays. */
  readonly owner: number;
  readonly resource: string;
  readonly partition: string;
  readonly response: StoredResponse;
  readonly tags: readonly string[];
  readonly size: number;
  readonly place: BodyPlace;
}

/** What the threads of a process tell each other about a zone. */
export type CacheMessage = { readonly zone: string } & (
  | { readonly type: 'put'; readonly entries: readonly SharedEntry[] }
  | { readonly type: 'refresh'; readonly id: string; readonly response: StoredResponse }
  | { readonly type: 'drop'; readonly ids: readonly string[] }
  | { readonly type: 'purge'; readonly what: Purge; readonly at: number; readonly question?: number }
  /** A worker begins: what it owned before is nobody's, and the others tell it what they own. */
  | { readonly type: 'begin'; readonly worker: number }
  /** An answer is there that others wait for, stored or not. */
  | { readonly type: 'landed'; readonly key: string }
  /** Of the main thread, which keeps nothing itself. */
  | { readonly type: 'ask'; readonly question: number; readonly resource: string; readonly partition: string }
  | { readonly type: 'answer'; readonly question: number; readonly entries: readonly SharedEntry[] }
  | { readonly type: 'purged'; readonly question: number; readonly count: number }
);

/** The way to the other threads. */
export interface CacheChannel {
  post(message: CacheMessage): void;
  listen(zone: string, listener: (message: CacheMessage) => void): void;
  /** Hears at once what others have said by now, instead of when it comes to it. */
  drain(): void;
}
