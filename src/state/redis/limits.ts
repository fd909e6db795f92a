import { hash, randomBytes } from 'node:crypto';
import {
  type Limits,
  LimitsUnavailable,
  type LimitVerdict,
  type MaybePromise,
  type SharedLimits,
} from '../../plugin/limits.ts';
import { ENTER, FIXED_WINDOW, LEAKY_BUCKET, SLIDING_WINDOW } from './limit-scripts.ts';
import type { RedisLink } from './redis-link.ts';
import type { RedisScript } from './redis-script.ts';
import { RedisUnavailable } from './redis-unavailable.ts';
import { SHORTEST_LEASE_MS, type Stay, type Stays } from './stays.ts';

type Entry = { readonly allowed: boolean; readonly current: number };

export interface RedisLimitsOptions {
  readonly stayTtlSeconds: number;
  /** Asked while Redis can't be; absent: LimitsUnavailable is thrown. */
  readonly local?: Limits | undefined;
  release(): void;
}

/** Characters of a key that Redis is given as they are, to be read by people. */
const LONGEST_KEY = 256;
/** A worker that is gone leaves its stays behind for so long at most. */
const LONGEST_LEASE_MS = 60_000;
/** Every stay in Redis needs a name of its own, on whichever machine it began. */
const THREAD = randomBytes(9).toString('base64url');
let stays = 0;

/**
 * Limits kept in Redis, exact across all machines that use it: each decision is one script on the
 * server that has the key. Whatever fails, also an error that Redis answers with, is decided by `local`
 * or thrown as LimitsUnavailable, at once while Redis is known to be gone.
 *
 * A request whose answer came too late was decided here and may have been counted there: it errs on
 * the side of the limit.
 */
export class RedisLimits implements SharedLimits {
  readonly #link: RedisLink;
  readonly #stays: Stays;
  readonly #leaseMs: number;
  readonly #local: Limits | undefined;
  readonly #release: () => void;

  /** `stays` belongs to the link and outlives these Limits. */
  constructor(link: RedisLink, stays: Stays, options: RedisLimitsOptions) {
    this.#link = link;
    this.#stays = stays;
    const asked = options.stayTtlSeconds * 1000;
    this.#leaseMs = Math.min(LONGEST_LEASE_MS, Math.max(SHORTEST_LEASE_MS, asked));
    this.#local = options.local;
    this.#release = () => options.release();
  }

  fixedWindow(key: string, limit: number, windowSeconds: number, cost: number): MaybePromise<LimitVerdict> {
    const args = [limit, Math.ceil(windowSeconds * 1000), cost];
    return this.#ask(FIXED_WINDOW, redisKey('fixed', key), args, readWindow, (local) =>
      local.fixedWindow(key, limit, windowSeconds, cost),
    );
  }

  slidingWindow(key: string, limit: number, windowSeconds: number, cost: number): MaybePromise<LimitVerdict> {
    const args = [limit, Math.ceil(windowSeconds * 1000), cost];
    return this.#ask(SLIDING_WINDOW, redisKey('sliding', key), args, readWindow, (local) =>
      local.slidingWindow(key, limit, windowSeconds, cost),
    );
  }

  leakyBucket(key: string, ratePerSecond: number, burst: number): MaybePromise<LimitVerdict> {
    const read = (answer: unknown): LimitVerdict => {
      const [allowed, text] = answer as readonly [number, string];
      const excess = Number(text);
      return {
        allowed: allowed === 1,
        remaining: allowed === 1 ? Math.max(0, Math.floor(burst - excess + 1e-6)) : 0,
        resetSeconds: (allowed === 1 ? excess : excess - burst) / ratePerSecond,
        delaySeconds: allowed === 1 ? excess / ratePerSecond : 0,
      };
    };
    return this.#ask(LEAKY_BUCKET, redisKey('bucket', key), [ratePerSecond, burst], read, (local) =>
      local.leakyBucket(key, ratePerSecond, burst),
    );
  }

  enter(key: string, maximum: number): MaybePromise<Entry> {
    const set = redisKey('inside', key);
    const name = `${THREAD}${(stays++).toString(36)}`;
    const leaseMs = this.#leaseMs;
    const stay: Stay = { set, name, leaseMs, renewAt: performance.now() + leaseMs / 3 };
    let sent = false;
    const read = (answer: unknown): Entry => {
      const [allowed, current] = answer as readonly [number, number];
      if (allowed === 1) this.#stays.began(key, stay);
      return { allowed: allowed === 1, current };
    };
    const otherwise = (local: Limits): MaybePromise<Entry> => {
      const entry = local.enter(key, maximum);
      const note = (one: Entry): Entry => {
        if (one.allowed) this.#stays.began(key, local);
        return one;
      };
      return entry instanceof Promise ? entry.then(note) : note(entry);
    };
    const failed = (error: unknown): MaybePromise<Entry> => {
      // Nobody knows whether the command arrived, or still will.
      if (sent && error instanceof RedisUnavailable) this.#stays.doubt(stay);
      return this.#fall(error, otherwise);
    };
    try {
      return this.#link
        .send(set, (client) => {
          sent = true;
          return ENTER.run(client, set, maximum, leaseMs, name);
        })
        .then(read)
        .catch((error) => ownCopy(failed(error)));
    } catch (error) {
      return failed(error);
    }
  }

  leave(key: string): void {
    this.#stays.ended(key);
  }

  release(): void {
    this.#release();
  }

  #ask(
    script: RedisScript,
    key: string,
    args: (string | number)[],
    read: (answer: unknown) => LimitVerdict,
    otherwise: (local: Limits) => MaybePromise<LimitVerdict>,
  ): MaybePromise<LimitVerdict> {
    try {
      return this.#link
        .send(key, (client) => script.run(client, key, ...args))
        .then(read)
        .catch((error) => ownCopy(this.#fall(error, otherwise)));
    } catch (error) {
      return this.#fall(error, otherwise);
    }
  }

  #fall<T>(error: unknown, otherwise: (local: Limits) => T): T {
    if (!(error instanceof RedisUnavailable)) this.#link.onErrorAnswer(error);
    if (this.#local !== undefined) return otherwise(this.#local);
    throw new LimitsUnavailable(error instanceof Error ? error.message : String(error));
  }
}

/**
 * The key's name in Redis. What clients send may be part of a key, up to a whole head: a long one goes
 * by its digest, so that nobody fills Redis, or its network, by sending long values.
 */
function redisKey(kind: string, key: string): string {
  const short = key.length <= LONGEST_KEY ? key : hash('sha256', key, 'base64url');
  return `sluice:${kind}:${short}`;
}

/** Limits in memory use one object for all verdicts: a promise's reader, who comes later, needs one of its own. */
function ownCopy<T extends object>(verdict: MaybePromise<T>): MaybePromise<T> {
  return verdict instanceof Promise ? verdict : { ...verdict };
}

function readWindow(answer: unknown): LimitVerdict {
  const [allowed, remaining, leftMs] = answer as readonly [number, number, number];
  return {
    allowed: allowed === 1,
    remaining,
    resetSeconds: Math.floor(leftMs / 10) / 100,
    delaySeconds: 0,
  };
}
