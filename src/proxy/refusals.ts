import type { Logger } from '../plugin/kit.ts';

/** A line for the first refusal and then one for those of so many milliseconds: whoever is refused must not fill the log. */
const QUIET_MS = 1_000;

interface Tally {
  count: number;
  last: string;
}

/** Connections that were closed before they became requests: logged with their number, at a bearable rate. */
export class Refusals {
  readonly #log: Logger;
  readonly #tallies = new Map<string, Tally>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** `reason` is one of a few fixed words. */
  add(reason: string, address: string): void {
    const tally = this.#tallies.get(reason);
    if (tally !== undefined) {
      tally.count++;
      tally.last = address;
      return;
    }
    this.#tallies.set(reason, { count: 0, last: '' });
    this.#say(reason, 1, address);
    setTimeout(() => this.#summarize(reason), QUIET_MS).unref();
  }

  #summarize(reason: string): void {
    const { count, last } = this.#tallies.get(reason)!;
    this.#tallies.delete(reason);
    if (count > 0) this.#say(reason, count, last);
  }

  #say(reason: string, count: number, client: string): void {
    this.#log.warn('connection refused', { reason, count, client });
  }
}
