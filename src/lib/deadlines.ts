// Timeouts by the thousand without a timer each: one list per duration, in order of expiry, and one
// coarse ticker for all. Arming and disarming is relinking.
//
//   list (5 s):  a ⇄ b ⇄ c        all have the same duration, so the newest expires last:
//                ↑       ↑        append to arm, look at the first to expire.
//              first    last

import { beginEvent, eventTime } from './event-clock.ts';

/** How often lists are looked at, in milliseconds; a deadline is late by at most this much. */
const TICK_MS = 50;

/** Something that can be waiting for one deadline at a time. */
export interface Waiting {
  deadlines: Deadlines | null;
  previousWaiting: Waiting | null;
  nextWaiting: Waiting | null;
  dueAt: number;
  /** The deadline has passed; it is disarmed already. */
  onDeadline(): void;
}

const armed = new Set<Deadlines>();
let ticker: NodeJS.Timeout | undefined;

function tick(): void {
  beginEvent();
  const now = eventTime();
  for (const list of armed) list.expire(now);
  if (armed.size === 0) {
    clearInterval(ticker);
    ticker = undefined;
  }
}

/** All that wait for the same duration. */
export class Deadlines {
  readonly milliseconds: number;
  #first: Waiting | null = null;
  #last: Waiting | null = null;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }

  /** Starts or restarts the wait of one. A duration of 0 means: wait for ever. */
  arm(waiting: Waiting, now: number = eventTime()): void {
    if (waiting.deadlines !== null) waiting.deadlines.disarm(waiting);
    if (this.milliseconds === 0) return;
    waiting.deadlines = this;
    waiting.dueAt = now + this.milliseconds;
    waiting.previousWaiting = this.#last;
    waiting.nextWaiting = null;
    if (this.#last === null) {
      this.#first = waiting;
      armed.add(this);
      if (ticker === undefined) {
        ticker = setInterval(tick, TICK_MS);
        ticker.unref();
      }
    } else this.#last.nextWaiting = waiting;
    this.#last = waiting;
  }

  disarm(waiting: Waiting): void {
    if (waiting.deadlines !== this) return;
    if (waiting.previousWaiting === null) this.#first = waiting.nextWaiting;
    else waiting.previousWaiting.nextWaiting = waiting.nextWaiting;
    if (waiting.nextWaiting === null) this.#last = waiting.previousWaiting;
    else waiting.nextWaiting.previousWaiting = waiting.previousWaiting;
    waiting.deadlines = waiting.previousWaiting = waiting.nextWaiting = null;
    // `armed` keeps an emptied list until the next tick: a busy list empties and fills all the time.
  }

  expire(now: number): void {
    if (this.#first === null) {
      armed.delete(this);
      return;
    }
    for (let waiting = this.#first; waiting !== null && waiting.dueAt <= now; waiting = this.#first) {
      this.disarm(waiting);
      waiting.onDeadline();
      if (this.#first === null) return;
    }
  }
}

const byDuration = new Map<number, Deadlines>();

/** The list for a duration in milliseconds; the same one for the same duration. */
export function deadlinesOf(milliseconds: number): Deadlines {
  let list = byDuration.get(milliseconds);
  if (list === undefined) {
    list = new Deadlines(milliseconds);
    byDuration.set(milliseconds, list);
  }
  return list;
}

/** Ends any wait. */
export function disarm(waiting: Waiting): void {
  if (waiting.deadlines !== null) waiting.deadlines.disarm(waiting);
}
