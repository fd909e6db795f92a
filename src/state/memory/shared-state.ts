import { SharedCounters } from './counters.ts';
import { MemoryLimits } from './limits.ts';
import { Membership } from './membership.ts';
import { monotonic } from './monotonic-clock.ts';
import { PeekingLimits } from './peeking-limits.ts';
import { SharedTable } from './shared-table.ts';

/** What the main thread allocates once and hands to every worker as it is (workerData). */
export interface SharedStateBuffers {
  readonly membership: SharedArrayBuffer;
  readonly limits: SharedArrayBuffer;
  readonly tickets: SharedArrayBuffer;
}

export interface SharedStateOptions {
  /** Worker numbers go from 1 to this. */
  readonly workers: number;
  /** Keys of limits that can be kept at once. */
  readonly limitSlots?: number;
  /** Tickets (Upstreams with round robin) that can be kept at once. */
  readonly ticketSlots?: number;
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
  };
}

/** One thread's view of the state that all workers share. */
export class SharedState {
  readonly membership: Membership;
  readonly limits: MemoryLimits;
  readonly counters: SharedCounters;
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
    this.counters = new SharedCounters(new SharedTable(buffers.tickets, this.membership, token), now);
  }

  /** Limits that start from the present counters and count nothing there; for one evaluation. */
  peek(now: () => number): PeekingLimits {
    return new PeekingLimits(this.#limitTable, now);
  }

  /** Limits' entries that were forgotten before their time because the table was full. */
  get evictions(): number {
    return this.#limitTable.evictions;
  }

  /** Locks taken over from dead workers. */
  get takeovers(): number {
    return this.#limitTable.takeovers;
  }
}
