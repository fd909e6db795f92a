// One worker's view of a zone. Every worker has the whole index; bodies are there once. Each entry
// has an owner, the worker that stored it, which alone decides when it must go: so the zone's size
// is exact though nobody counts for all.

import type { StoredResponse } from '../../lib/http-caching/stored-response.ts';
import type { Cache, CacheEntry, NewCacheEntry, Purge } from '../../plugin/cache.ts';
import type { MaybePromise } from '../../plugin/limits.ts';
import type { CacheBodies, HeldEntry } from './cache-bodies.ts';
import type { BodyPlace, CacheChannel, CacheMessage, SharedEntry } from './cache-message.ts';
import type { FlightClaims } from './flight-claims.ts';
import { concerns, RecentPurges } from './recent-purges.ts';

/** Variants of one resource in one partition: a Vary on something that is always new must not fill the zone. */
export const MOST_VARIANTS = 64;
/** Entries that were used lately and may stay, per one that must go. */
const MOST_CHANCES = 16;
/** Entries in one message to a worker that begins. */
const BATCH = 256;
/** What an entry costs besides its texts and its body, about. */
const ENTRY_BYTES = 600;
/** What the index by tag costs for one tag of one entry, about. */
const TAG_BYTES = 100;

export interface ZoneOptions {
  readonly name: string;
  /** The number of this worker. */
  readonly worker: number;
  /** Workers among which the zone's bytes are divided. */
  readonly workers: number;
  readonly bodies: CacheBodies;
  /** Bytes that the index of one worker's entries may take; undefined where it shares those of the bodies. */
  readonly indexLimit: number | undefined;
  readonly channel: CacheChannel | undefined;
  /** Who asks for what; absent where there is one worker. */
  readonly claims?: FlightClaims | undefined;
  /** For how long purges are remembered: as long as anything may come that was asked for before. */
  readonly rememberMs?: number;
  /** Unix milliseconds. */
  now(): number;
}

class Entry implements CacheEntry, HeldEntry {
  readonly id: string;
  readonly owner: number;
  readonly resource: string;
  readonly partition: string;
  response: StoredResponse;
  readonly tags: readonly string[];
  readonly size: number;
  readonly place: BodyPlace;
  bytes: Uint8Array | undefined;
  used: Uint32Array | undefined;
  /** The second of its last use when its owner last looked. */
  seen = 0;
  /** Bytes of its part of the index. */
  cost: number;

  constructor(from: SharedEntry) {
    this.id = from.id;
    this.owner = from.owner;
    this.resource = from.resource;
    this.partition = from.partition;
    this.response = from.response;
    this.tags = from.tags;
    this.size = from.size;
    this.place = from.place;
    this.cost = costOf(from);
  }
}

/** Bytes of an entry's part of the index, about. Clients choose the words that Vary names, so these count, too. */
function costOf({ resource, partition, response, tags }: SharedEntry): number {
  let cost = ENTRY_BYTES + resource.length + partition.length;
  for (const [name, value] of response.fields) cost += name.length + value.length;
  for (const [name, value = ''] of response.vary) cost += name.length + value.length;
  for (const tag of tags) cost += TAG_BYTES + tag.length;
  return cost;
}

export class CacheZone implements Cache {
  readonly name: string;
  readonly maxBodyBytes: number;
  readonly #options: ZoneOptions;
  readonly #resources = new Map<string, Map<string, Entry[]>>();
  readonly #entries = new Map<string, Entry>();
  readonly #tagged = new Map<string, Set<Entry>>();
  /** In the order in which they may have to go. */
  readonly #owned = new Map<string, Entry>();
  readonly #purges: RecentPurges;
  readonly #waiting = new Map<string, (() => void)[]>();
  #ownedBodies = 0;
  #ownedIndex = 0;
  #serial = 0;
  readonly #start: string;

  constructor(options: ZoneOptions) {
    this.#options = options;
    this.#purges = new RecentPurges(options.rememberMs);
    this.name = options.name;
    this.maxBodyBytes = Math.floor(options.bodies.limit / 4);
    this.#start = `${options.worker}-${options.now().toString(36)}`;
    options.channel?.listen(options.name, (message) => this.#hear(message));
    this.#tell({ zone: this.name, type: 'begin', worker: options.worker });
  }

  /** Entries known here, and bytes of those that this worker owns. */
  get figures(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#ownedBodies + this.#ownedIndex };
  }

  find(resource: string, partition: string): readonly Entry[] {
    const found = this.#resources.get(resource)?.get(partition);
    const { channel } = this.#options;
    if (found !== undefined || channel === undefined) return found ?? NONE;
    // Who got an answer from one worker may ask another before that has heard of it.
    channel.drain();
    return this.#resources.get(resource)?.get(partition) ?? NONE;
  }

  body(entry: CacheEntry): MaybePromise<Uint8Array | undefined> {
    const { bodies, now } = this.#options;
    const own = entry as Entry;
    bodies.touch(own, Math.floor(now() / 1000));
    return bodies.read(own);
  }

  put({ resource, partition, response, tags, body }: NewCacheEntry): MaybePromise<void> {
    const { bodies, worker } = this.#options;
    let size = 0;
    for (const piece of body) size += piece.length;
    if (size > this.maxBodyBytes) return;
    const id = `${this.#start}-${(this.#serial++).toString(36)}`;
    const fresh = { id, owner: worker, resource, partition, response, tags, size };
    const place = bodies.keep(fresh, body);
    if (place instanceof Promise) {
      return place.then((kept) => {
        if (kept !== undefined) this.adopt({ ...fresh, place: kept });
      });
    }
    if (place !== undefined) this.adopt({ ...fresh, place });
  }

  /** Takes an entry in whose body is kept already, as its owner. */
  adopt(entry: SharedEntry): void {
    if (!this.#add(entry)) {
      this.#options.bodies.drop(entry);
      return;
    }
    this.#tell({ zone: this.name, type: 'put', entries: [plain(entry)] });
    this.#makeRoom();
  }

  refresh(entry: CacheEntry, response: StoredResponse): void {
    const own = this.#entries.get(entry.id);
    if (own === undefined || this.#purges.concern({ ...own, response })) return;
    this.#renew(own, response);
    this.#tell({ zone: this.name, type: 'refresh', id: own.id, response });
  }

  remove(entry: CacheEntry): void {
    const own = this.#entries.get(entry.id);
    if (own !== undefined) this.#dropEverywhere([own]);
  }

  purge(what: Purge): number {
    const at = this.#options.now();
    this.#tell({ zone: this.name, type: 'purge', what, at });
    return this.#purge(what, at).length;
  }

  depart(key: string): 'mine' | 'other' | 'nobody' {
    return this.#options.claims?.claim(this.#own(key)) ?? 'nobody';
  }

  land(key: string): void {
    if (this.#options.claims?.release(this.#own(key))) this.#tell({ zone: this.name, type: 'landed', key });
  }

  landed(key: string): Promise<void> {
    if (this.#options.claims?.await(this.#own(key)) !== true) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const others = this.#waiting.get(key);
    if (others === undefined) this.#waiting.set(key, [resolve]);
    else others.push(resolve);
    return promise;
  }

  /** Claims are for all zones together. */
  #own(key: string): string {
    return `${this.name} ${key}`;
  }

  /** As `purge`, for one that was made at another time, elsewhere. */
  purgeAsOf(what: Purge, at: number): void {
    this.#purge(what, at);
  }

  /** Whether it was asked for before a purge that concerns it. */
  isPurged(entry: Pick<NewCacheEntry, 'resource' | 'tags' | 'response'>): boolean {
    return this.#purges.concern(entry);
  }

  /** Whether this very response, or a newer one in its place, is here. */
  has({
    resource,
    partition,
    response,
  }: Pick<NewCacheEntry, 'resource' | 'partition' | 'response'>): boolean {
    return this.find(resource, partition).some(
      (entry) => isSameVariant(entry.response, response) && entry.response.receivedAt >= response.receivedAt,
    );
  }

  #purge(what: Purge, at: number): readonly Entry[] {
    this.#purges.note(what, at);
    const gone = [...this.#meant(what)];
    for (const entry of gone) this.#drop(entry);
    return gone;
  }

  *#meant(what: Purge): Iterable<Entry> {
    if (what.by === 'tag') {
      yield* this.#tagged.get(what.value) ?? [];
      return;
    }
    if (what.by === 'resource') {
      for (const variants of this.#resources.get(what.value)?.values() ?? []) yield* variants;
      return;
    }
    for (const entry of this.#entries.values()) if (concerns(what, entry)) yield entry;
  }

  #hear(message: CacheMessage): void {
    switch (message.type) {
      case 'put':
        for (const entry of message.entries) this.#add(entry);
        return;
      case 'landed': {
        const waiting = this.#waiting.get(message.key);
        this.#waiting.delete(message.key);
        for (const resolve of waiting ?? []) resolve();
        return;
      }
      case 'refresh': {
        const entry = this.#entries.get(message.id);
        if (entry !== undefined && message.response.receivedAt >= entry.response.receivedAt)
          this.#renew(entry, message.response);
        return;
      }
      case 'drop':
        for (const id of message.ids) {
          const entry = this.#entries.get(id);
          if (entry !== undefined) this.#drop(entry);
        }
        return;
      case 'purge': {
        const gone = this.#purge(message.what, message.at);
        const { question } = message;
        if (question === undefined) return;
        const count = gone.filter(({ owner }) => owner === this.#options.worker).length;
        this.#tell({ zone: this.name, type: 'purged', question, count });
        return;
      }
      case 'begin': {
        for (const entry of [...this.#entries.values()])
          if (entry.owner === message.worker) this.#drop(entry);
        const entries = [...this.#owned.values()].map(plain);
        for (let at = 0; at < entries.length; at += BATCH)
          this.#tell({ zone: this.name, type: 'put', entries: entries.slice(at, at + BATCH) });
        return;
      }
      case 'ask': {
        const { question, resource, partition } = message;
        const entries = this.find(resource, partition).map(plain);
        this.#tell({ zone: this.name, type: 'answer', question, entries });
      }
    }
  }

  /** False when it is older than what is there or than a purge. */
  #add(from: SharedEntry): boolean {
    if (this.#entries.has(from.id) || this.#purges.concern(from)) return false;
    const entry = new Entry(from);
    let partitions = this.#resources.get(entry.resource);
    const variants = partitions?.get(entry.partition) ?? [];
    const same = variants.filter((other) => isSameVariant(other.response, entry.response));
    if (same.some(({ response }) => response.receivedAt > entry.response.receivedAt)) return false;
    for (const old of same) this.#drop(old);
    if (entry.owner === this.#options.worker && variants.length >= MOST_VARIANTS)
      this.#dropEverywhere([variants[variants.length - 1]]);

    // Dropping the last one may have taken the maps with it.
    partitions = this.#resources.get(entry.resource);
    if (partitions === undefined) this.#resources.set(entry.resource, (partitions = new Map()));
    partitions.set(entry.partition, [entry, ...(partitions.get(entry.partition) ?? [])]);
    this.#entries.set(entry.id, entry);
    for (const tag of entry.tags) {
      const others = this.#tagged.get(tag);
      if (others === undefined) this.#tagged.set(tag, new Set([entry]));
      else others.add(entry);
    }
    if (entry.owner === this.#options.worker) {
      this.#owned.set(entry.id, entry);
      this.#ownedBodies += entry.size;
      this.#ownedIndex += entry.cost * this.#options.workers;
    }
    return true;
  }

  #renew(entry: Entry, response: StoredResponse): void {
    entry.response = response;
    if (entry.owner !== this.#options.worker) return;
    const before = entry.cost;
    entry.cost = costOf(entry);
    this.#ownedIndex += (entry.cost - before) * this.#options.workers;
    this.#makeRoom();
  }

  #drop(entry: Entry): void {
    if (!this.#entries.delete(entry.id)) return;
    const partitions = this.#resources.get(entry.resource)!;
    const left = partitions.get(entry.partition)!.filter((other) => other !== entry);
    if (left.length > 0) partitions.set(entry.partition, left);
    else {
      partitions.delete(entry.partition);
      if (partitions.size === 0) this.#resources.delete(entry.resource);
    }
    for (const tag of entry.tags) {
      const others = this.#tagged.get(tag);
      if (others?.delete(entry) && others.size === 0) this.#tagged.delete(tag);
    }
    if (this.#owned.delete(entry.id)) {
      this.#ownedBodies -= entry.size;
      this.#ownedIndex -= entry.cost * this.#options.workers;
      this.#options.bodies.drop(entry);
    }
  }

  #dropEverywhere(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    for (const entry of entries) this.#drop(entry);
    this.#tell({ zone: this.name, type: 'drop', ids: entries.map(({ id }) => id) });
  }

  /** Lets the oldest go, passing over those that were used since the last look. */
  #makeRoom(): void {
    const { bodies, indexLimit } = this.#options;
    const gone: Entry[] = [];
    let chances = MOST_CHANCES;
    const tooMuch = (): boolean =>
      indexLimit === undefined
        ? this.#ownedBodies + this.#ownedIndex > bodies.limit
        : this.#ownedBodies > bodies.limit || this.#ownedIndex > indexLimit;
    while (tooMuch()) {
      const entry: Entry = this.#owned.values().next().value!;
      const used = bodies.touched(entry);
      if (used > entry.seen && chances-- > 0) {
        entry.seen = used;
        this.#owned.delete(entry.id);
        this.#owned.set(entry.id, entry);
        continue;
      }
      chances = MOST_CHANCES;
      this.#drop(entry);
      gone.push(entry);
    }
    if (gone.length > 0) this.#tell({ zone: this.name, type: 'drop', ids: gone.map(({ id }) => id) });
  }

  #tell(message: CacheMessage): void {
    this.#options.channel?.post(message);
  }
}

const NONE: readonly Entry[] = [];

/** An entry without what only this thread needs. */
function plain(entry: SharedEntry): SharedEntry {
  const { id, owner, resource, partition, response, tags, size, place } = entry;
  return { id, owner, resource, partition, response, tags, size, place };
}

/** Whether two responses were chosen by the same words of the request. */
function isSameVariant(one: StoredResponse, other: StoredResponse): boolean {
  return (
    one.vary.length === other.vary.length &&
    one.vary.every(([name, value], at) => other.vary[at][0] === name && other.vary[at][1] === value)
  );
}
