/** A number that grows with each call of any worker. */
export interface Ticket {
  next(): number;
}

/** What is known of one Target of one Upstream. */
export class TargetLoad {
  /** Attempts of this worker that have started and not finished. */
  active = 0;
  /** Decayed mean of the latency in ms, as of `touchedAt`. */
  latencyMs = 0;
  /** Monotonic ms at which `latencyMs` was set. */
  touchedAt = 0;
  /** False while `latencyMs` is but a guess. */
  measured = false;
}

export interface BalancerStateOptions {
  /** Where tickets come from, by key: shared by all workers, so that their picks interleave. */
  readonly ticket: (key: string) => Ticket;
  /** Monotonic ms. */
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * What Balancers remember beyond a rebuild, one per worker. Loads are this worker's own view: the
 * connections and latencies that it sees.
 */
export class BalancerState {
  readonly ticket: (key: string) => Ticket;
  readonly now: () => number;
  readonly random: () => number;
  readonly #loads = new Map<string, Map<string, TargetLoad>>();

  constructor(options: BalancerStateOptions) {
    this.ticket = options.ticket;
    this.now = options.now;
    this.random = options.random;
  }

  /** The load of a Target; the same object for as long as its Upstream has it. */
  load(upstream: string, target: string): TargetLoad {
    let loads = this.#loads.get(upstream);
    if (loads === undefined) this.#loads.set(upstream, (loads = new Map()));
    let load = loads.get(target);
    if (load === undefined) loads.set(target, (load = new TargetLoad()));
    return load;
  }

  /** Forgets Targets that the Upstream no longer has, once nothing runs on them. */
  retain(upstream: string, targets: readonly { readonly key: string }[]): void {
    const loads = this.#loads.get(upstream);
    if (loads === undefined) return;
    const kept = new Set(targets.map((target) => target.key));
    for (const [key, load] of loads) if (load.active === 0 && !kept.has(key)) loads.delete(key);
  }

  /** Forgets an Upstream that was removed. */
  forget(upstream: string): void {
    this.#loads.delete(upstream);
  }
}
