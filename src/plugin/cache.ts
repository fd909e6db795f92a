import type { StoredResponse } from '../lib/http-caching/stored-response.ts';
import type { MaybePromise } from './limits.ts';

/** A response in a Cache. */
export interface CacheEntry {
  readonly id: string;
  /** What it answers for: host, path and query. */
  readonly resource: string;
  /** For whom: answers of one partition never serve another. */
  readonly partition: string;
  /** Replaced when the origin confirms it. */
  readonly response: StoredResponse;
  /** By which it may be purged. */
  readonly tags: readonly string[];
  /** Bytes of the body. */
  readonly size: number;
}

/** Which entries to forget: those of a resource, of all that begin so, or with a tag. */
export interface Purge {
  readonly by: 'resource' | 'prefix' | 'tag';
  readonly value: string;
}

export interface NewCacheEntry {
  readonly resource: string;
  readonly partition: string;
  readonly response: StoredResponse;
  readonly tags: readonly string[];
  /** Pieces of the body in order; copied before `put` returns. */
  readonly body: readonly Uint8Array[];
}

/**
 * Responses that outlive a Runtime and are the same for all workers; bounded in bytes. What one
 * worker puts, refreshes or purges is so on all others within milliseconds. A Cache that can't do
 * its work, because a disk is full or a server away, has nothing and keeps nothing; it never throws.
 */
export interface Cache {
  readonly name: string;
  /** Bytes of the largest body that is kept. */
  readonly maxBodyBytes: number;
  /** The entries of a resource in a partition, the newest first. A promise where they are elsewhere. */
  find(resource: string, partition: string): MaybePromise<readonly CacheEntry[]>;
  /** The body; undefined when it is gone by now. Valid for as long as it is held. */
  body(entry: CacheEntry): MaybePromise<Uint8Array | undefined>;
  /**
   * Keeps a response, in the place of those that it would have answered for. Not one that was asked
   * for before a purge that concerns it. A promise where it takes time until it is found.
   */
  put(entry: NewCacheEntry): MaybePromise<void>;
  /** Takes over what the origin said when it confirmed an entry. */
  refresh(entry: CacheEntry, response: StoredResponse): void;
  remove(entry: CacheEntry): void;
  /** Forgets entries everywhere and says how many there were. */
  purge(what: Purge): MaybePromise<number>;
  /**
   * Says that this worker is about to ask the Upstream for something. `mine`: others are told to wait
   * until `land`. `other`: another worker asks already, see `landed`. `nobody`: nobody keeps account.
   */
  depart(key: string): 'mine' | 'other' | 'nobody';
  land(key: string): void;
  /** Resolves when the worker that asks has an answer, stored or not. It may never do so. */
  landed(key: string): Promise<void>;
}
