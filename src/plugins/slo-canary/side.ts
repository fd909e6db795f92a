// What is counted of one side of a canary, in numbers that all workers share.

/** Latency is counted by powers of this, so that percentiles are right to a quarter. */
const STEP = 1.25;
/** The bounds of the buckets in milliseconds, from 1 ms to 56 s; what is beyond is counted in the last. */
const BOUNDS = Array.from({ length: 50 }, (_, index) => STEP ** index);

/** Numbers that a side needs. */
export const SIDE_NUMBERS = 2 + BOUNDS.length;

/** A side's numbers, to be read and said. */
export interface SideFigures {
  readonly requests: number;
  readonly errors: number;
  readonly error_rate: number;
  /** Milliseconds to the response's head, at the percentile; 0 without requests. */
  readonly latency_ms: number;
}

/** Counts one request. */
export function count(numbers: Float64Array, failed: boolean, latencyMs: number): void {
  numbers[0]++;
  if (failed) numbers[1]++;
  let bucket = 0;
  while (bucket < BOUNDS.length - 1 && latencyMs > BOUNDS[bucket]) bucket++;
  numbers[2 + bucket]++;
}

/** What was counted; of the bucket in which the percentile falls, the part that it takes. */
export function figuresOf(numbers: Float64Array, percentile: number): SideFigures {
  const [requests, errors] = numbers;
  return {
    requests,
    errors,
    error_rate: requests === 0 ? 0 : round(errors / requests),
    latency_ms: round(latencyAt(numbers, (percentile / 100) * requests)),
  };
}

function latencyAt(numbers: Float64Array, rank: number): number {
  let below = 0;
  for (let bucket = 0; bucket < BOUNDS.length; bucket++) {
    const inside = numbers[2 + bucket];
    if (inside > 0 && below + inside >= rank) {
      const from = bucket === 0 ? 0 : BOUNDS[bucket - 1];
      return from + ((rank - below) / inside) * (BOUNDS[bucket] - from);
    }
    below += inside;
  }
  return 0;
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
