import { SHARED_NUMBERS } from '../../plugin/shared-numbers.ts';
import { SharedBreakers } from './breakers.ts';
import { SharedCounters } from './counters.ts';
import { MemoryLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { monotonic } from './monotonic-clock.ts';
import { PeekingLimits } from './peeking-limits.ts';
import { MemoryNumbers } from './shared-numbers.ts';
import { SharedTable } from './shared-table.ts';
import { SharedHealth } from './target-health.ts';

/** Keys of shared numbers that can be kept at once; they cost nothing until they are used. */
const NUMBER_SLOTS = 1024;

/** What the main thread allocates once and hands to every worker as it is (workerData). */
export interface SharedStateBuffers {
  readonly membership: SharedArrayBuffer;
  readonly limits: SharedArrayBuffer;
  readonly tickets: SharedArrayBuffer;
  readonly breakers: SharedArrayBuffer;
  readonly health: SharedArrayBuffer;
  /** A number that grows with every change of some Target's health. */
  readonly healthVersion: SharedArrayBuffer;
  readonly numbers: SharedArrayBuffer;
}

export interface SharedStateOptions {
  /** Worker numbers go from 1 to this. */
  readonly workers: number;
  /** Keys of limits that can be kept at once. */
  readonly limitSlots?: number;
  /** Tickets (Upstreams with round robin) that can be kept at once. */
  readonly ticketSlots?: number;
  /** Circuit breakers that can be kept at once. */
  readonly breakerSlots?: number;
  /** Targets whose health can be kept at once. */
  readonly healthSlots?: number;
}

export function allocateSharedState(options: SharedStateOptions): SharedStateBuffers {
  const membership = Membership.allocate(options.workers);
  return {
    membership,
    limits: SharedTable.allocate({
      slots: options.limitSlots ?? 65_536,
      words: MemoryLimits.wordsFor(new Membership(membership)),
    }),
    tickets: SharedTable.allocate({ slots: options.ticketSlots ?? 65_536, words: 1 }),
    breakers: SharedTable.allocate({ slots: options.breakerSlots ?? 16_384, words: SharedBreakers.WORDS }),
    health: SharedTable.allocate({ slots: options.healthSlots ?? 16_384, words: SharedHealth.WORDS }),
    healthVersion: new SharedArrayBuffer(4),
    numbers: SharedTable.allocate({ slots: NUMBER_SLOTS, words: SHARED_NUMBERS }),
  };
}

/** One thread's view of the state that all workers share. */
export class SharedState {
  readonly membership: Membership;
  readonly limits: MemoryLimits;
  readonly counters: SharedCounters;
  readonly breakers: SharedBreakers;
  readonly health: SharedHealth;
  readonly #healthVersion: SharedArrayBuffer;
  readonly #breakerTable: SharedTable;
  readonly #healthTable: SharedTable;
  readonly shared: MemoryNumbers;
  readonly #limitTable: SharedTable;

  /** A worker passes its number and the incarnation that `membership.admit` gave; the main thread nothing. */
  constructor(
    buffers: SharedStateBuffers,
    member: { readonly worker: number; readonly incarnation: number } | undefined = undefined,
    now: () => number = monotonic,
  ) {
    const token =
      member === undefined ? Membership.MAIN : Membership.token(member.worker, member.incarnation);
    this.membership = new Membership(buffers.membership);
    this.#limitTable = new SharedTable(buffers.limits, this.membership, token);
    this.limits = new MemoryLimits(this.#limitTable, token, now);
    this.shared = new MemoryNumbers(new SharedTable(buffers.numbers, this.membership, token), now);
    this.counters = new SharedCounters(new SharedTable(buffers.tickets, this.membership, token), now);
    this.#breakerTable = new SharedTable(buffers.breakers, this.membership, token);
    this.breakers = new SharedBreakers(this.#breakerTable, now);
    this.#healthTable = new SharedTable(buffers.health, this.membership, token);
    this.#healthVersion = buffers.healthVersion;
    this.health = new SharedHealth(this.#healthTable, this.#healthVersion, now);
  }

  /** Limits that start from the present counters and count nothing there; for one evaluation. */
  peek(now: () => number): PeekingLimits {
    return new PeekingLimits(this.#limitTable, now);
  }

  /** Breakers and health as they are, changed by nothing that is asked of them; for evaluations. */
  peekBreakers(now: () => number): SharedBreakers {
    return new SharedBreakers(this.#breakerTable, now, { readOnly: true });
  }

  peekHealth(): SharedHealth {
    return new SharedHealth(this.#healthTable, this.#healthVersion, monotonic, { readOnly: true });
  }

  /** Entries of limits, breakers and health that were forgotten before their time because their table was full. */
  get evictions(): number {
    return this.#limitTable.evictions + this.#breakerTable.evictions + this.#healthTable.evictions;
  }

  /** Locks taken over from dead workers. */
  get takeovers(): number {
    return this.#limitTable.takeovers + this.#breakerTable.takeovers + this.#healthTable.takeovers;
  }
}
