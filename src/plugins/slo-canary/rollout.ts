// How far a canary has come: decided in one place, under the lock of its shared numbers, by
// whichever worker's request shows first that it is time.

import { SHARED_NUMBERS, type SharedNumbers } from '../../plugin/shared-numbers.ts';
import { count, figuresOf, SIDE_NUMBERS, type SideFigures } from './side.ts';

export interface Objectives {
  /** Percent of the requests, rising. */
  readonly steps: readonly number[];
  readonly intervalMs: number;
  readonly minRequests: number;
  readonly maxErrorRate: number | undefined;
  readonly maxErrorRateIncrease: number | undefined;
  readonly percentile: number;
  readonly maxLatencyMs: number | undefined;
  readonly maxLatencyRatio: number | undefined;
}

/** A change of the canary's share, and why. */
export interface Decision {
  readonly outcome: 'started' | 'advanced' | 'promoted' | 'rolled_back';
  /** Percent before and after. */
  readonly from: number;
  readonly to: number;
  /** Which objective was missed. */
  readonly reason?: string;
  readonly canary: SideFigures;
  readonly baseline: SideFigures;
}

/** Where the shared numbers hold what. */
const STATE = 0;
const STEP = 1;
const SINCE = 2;
const CANARY = 4;
const BASELINE = CANARY + SIDE_NUMBERS;
const END = BASELINE + SIDE_NUMBERS;

if (END > SHARED_NUMBERS) throw new RangeError('a rollout needs more shared numbers than there are');

const State = { Fresh: 0, Running: 1, Promoted: 2, RolledBack: 3 } as const;

export class Rollout {
  readonly #shared: SharedNumbers;
  readonly #key: string;
  readonly #objectives: Objectives;

  constructor(shared: SharedNumbers, key: string, objectives: Objectives) {
    this.#shared = shared;
    this.#key = key;
    this.#objectives = objectives;
  }

  /** Percent of the requests that the canary gets at present. */
  get share(): number {
    return this.#shared.update(this.#key, (numbers) => this.#shareOf(numbers));
  }

  /** Counts a response; what was decided by that, if anything. */
  record(canary: boolean, failed: boolean, latencyMs: number, now: number): Decision | undefined {
    return this.#shared.update(this.#key, (numbers) => {
      const state = numbers[STATE];
      if (state === State.Promoted || state === State.RolledBack) return undefined;
      const started = state === State.Fresh;
      if (started) {
        numbers[STATE] = State.Running;
        numbers[SINCE] = now;
      }
      const start = canary ? CANARY : BASELINE;
      count(numbers.subarray(start, start + SIDE_NUMBERS), failed, latencyMs);
      if (started) return this.#decision(numbers, 'started', 0, this.#shareOf(numbers));
      return this.#decide(numbers, now);
    });
  }

  #decide(numbers: Float64Array, now: number): Decision | undefined {
    const { steps, intervalMs, minRequests } = this.#objectives;
    if (numbers[CANARY] < minRequests) return undefined;
    const from = this.#shareOf(numbers);
    const missed = this.#missed(numbers);
    if (missed !== undefined) {
      const decision = this.#decision(numbers, 'rolled_back', from, 0, missed);
      numbers[STATE] = State.RolledBack;
      return decision;
    }
    if (now - numbers[SINCE] < intervalMs) return undefined;
    const last = numbers[STEP] === steps.length - 1;
    const to = last ? 100 : steps[numbers[STEP] + 1];
    const decision = this.#decision(numbers, last ? 'promoted' : 'advanced', from, to);
    if (last) numbers[STATE] = State.Promoted;
    else {
      numbers[STEP]++;
      numbers[SINCE] = now;
      // Each step is judged by what happens in it.
      numbers.fill(0, CANARY, END);
    }
    return decision;
  }

  /** Which objective the canary misses. A baseline of which too little is known is no measure. */
  #missed(numbers: Float64Array): string | undefined {
    const { maxErrorRate, maxErrorRateIncrease, maxLatencyMs, maxLatencyRatio, minRequests } =
      this.#objectives;
    const { canary, baseline } = this.#figures(numbers);
    const comparable = baseline.requests >= minRequests;
    if (maxErrorRate !== undefined && canary.error_rate > maxErrorRate) return 'max_error_rate';
    if (
      maxErrorRateIncrease !== undefined &&
      comparable &&
      canary.error_rate > baseline.error_rate + maxErrorRateIncrease
    )
      return 'max_error_rate_increase';
    if (maxLatencyMs !== undefined && canary.latency_ms > maxLatencyMs) return 'max_latency';
    if (
      maxLatencyRatio !== undefined &&
      comparable &&
      canary.latency_ms > baseline.latency_ms * maxLatencyRatio
    )
      return 'max_latency_ratio';
    return undefined;
  }

  #shareOf(numbers: Float64Array): number {
    switch (numbers[STATE]) {
      case State.Promoted:
        return 100;
      case State.RolledBack:
        return 0;
      default:
        return this.#objectives.steps[numbers[STEP]];
    }
  }

  #figures(numbers: Float64Array): { readonly canary: SideFigures; readonly baseline: SideFigures } {
    const { percentile } = this.#objectives;
    return {
      canary: figuresOf(numbers.subarray(CANARY, BASELINE), percentile),
      baseline: figuresOf(numbers.subarray(BASELINE, END), percentile),
    };
  }

  #decision(
    numbers: Float64Array,
    outcome: Decision['outcome'],
    from: number,
    to: number,
    reason?: string,
  ): Decision {
    return { outcome, from, to, ...(reason !== undefined && { reason }), ...this.#figures(numbers) };
  }
}
