import type { Limits } from '../plugin/limits.ts';

/** How many connections there may be, counted over all workers; 0 means no limit. */
export interface ConnectionLimitsOptions {
  readonly max: number;
  readonly maxPerAddress: number;
}

const ALL = 'connections';

/** Limits for connections as such, of whatever protocol. */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #limits: Limits;
  /** Connections of this worker that could not stay. */
  refused = 0;

  constructor(options: ConnectionLimitsOptions, limits: Limits) {
    this.#options = options;
    this.#limits = limits;
  }

  /** undefined when the connection may stay and `leave` is to be called at its end; else a short fixed word for why not. */
  enter(address: string): string | undefined {
    const { max, maxPerAddress } = this.#options;
    if (max > 0 && !this.#enter(ALL, max)) {
      this.refused++;
      return 'max_connections';
    }
    if (maxPerAddress > 0 && !this.#enter(`${ALL}/${address}`, maxPerAddress)) {
      if (max > 0) this.#limits.leave(ALL);
      this.refused++;
      return 'max_connections_per_address';
    }
    return undefined;
  }

  leave(address: string): void {
    if (this.#options.max > 0) this.#limits.leave(ALL);
    if (this.#options.maxPerAddress > 0) this.#limits.leave(`${ALL}/${address}`);
  }

  #enter(key: string, maximum: number): boolean {
    const entry = this.#limits.enter(key, maximum);
    // The counters that all workers of a process share answer at once.
    return entry instanceof Promise || entry.allowed;
  }
}
