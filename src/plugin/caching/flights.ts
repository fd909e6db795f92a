import type { Cache } from '../cache.ts';
import type { Kit } from '../kit.ts';

/** Characters of the keys of what is known not to be stored; beyond that, the oldest are tried anew. Clients choose how long keys are. */
const MOST_UNCACHEABLE = 1 << 20;
const UNCACHEABLE_MS = 60_000;

/** A request on its way to the Upstream whose response others wait for. */
export interface Flight {
  readonly key: string;
  /** It is another worker's. */
  readonly foreign: boolean;
  /** Resolved when there is something to look at, or nothing to hope for. */
  readonly landed: Promise<void>;
  land(): void;
  /** Somebody waits, so that there is a limit to it. */
  limited: boolean;
}

/** Requests for the same resource that are under way: one goes, the others wait. */
export class Flights {
  readonly #cache: Cache;
  readonly #kit: Kit;
  readonly #longestMs: number;
  readonly #flights = new Map<string, Flight>();
  /** When what was not stored may be tried again. */
  readonly #uncacheable = new Map<string, number>();
  #uncacheableSize = 0;

  constructor(cache: Cache, kit: Kit, longestMs: number) {
    this.#cache = cache;
    this.#kit = kit;
    this.#longestMs = longestMs;
  }

  /** The flight that is under way; undefined where there is none. */
  find(key: string): Flight | undefined {
    return this.#flights.get(key);
  }

  /**
   * Begins one, or joins that of another worker; undefined where nobody should wait, as the last
   * response could not be stored.
   */
  begin(key: string): Flight | undefined {
    const until = this.#uncacheable.get(key);
    if (until !== undefined) {
      if (until > this.#kit.clock.monotonic()) return undefined;
      this.#forget(key);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const whose = this.#cache.depart(key);
    let over = false;
    const flight: Flight = {
      key,
      foreign: whose === 'other',
      landed: promise,
      limited: false,
      land: () => {
        if (over) return;
        over = true;
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        if (whose === 'mine') this.#cache.land(key);
        resolve();
      },
    };
    this.#flights.set(key, flight);
    if (flight.foreign) void this.#cache.landed(key).then(flight.land);
    return flight;
  }

  /** Resolves when it has landed, or after the longest time that anybody may wait. */
  wait(flight: Flight): Promise<void> {
    if (!flight.limited) {
      flight.limited = true;
      void this.#kit.delay(this.#longestMs).then(flight.land);
    }
    return flight.landed;
  }

  /** Remembers that the response to this can't be stored, so that nobody waits for it in vain. */
  noteUncacheable(key: string): void {
    this.#forget(key);
    this.#uncacheable.set(key, this.#kit.clock.monotonic() + UNCACHEABLE_MS);
    this.#uncacheableSize += key.length;
    for (const oldest of this.#uncacheable.keys()) {
      if (this.#uncacheableSize <= MOST_UNCACHEABLE) return;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    if (this.#uncacheable.delete(key)) this.#uncacheableSize -= key.length;
  }
}
