/** One of several, each with its share. */
export interface Weighted<T> {
  readonly value: T;
  /** 0 or more; of 0 it is never chosen. */
  readonly weight: number;
}

/**
 * Smooth weighted round robin, as nginx does it: every choice raises each candidate by its weight,
 * takes the highest and lowers that by the total. In any run of `total` choices each candidate comes
 * exactly `weight` times, spread evenly instead of in bursts.
 *
 * Returns undefined when no candidate has a weight.
 */
export function weightedChoice<T>(candidates: readonly Weighted<T>[]): (() => T) | undefined {
  const entries = candidates
    .filter(({ weight }) => weight > 0)
    .map(({ value, weight }) => ({ value, weight, current: 0 }));
  if (entries.length === 0) return undefined;
  if (entries.length === 1) {
    const { value } = entries[0];
    return () => value;
  }
  const total = entries.reduce((sum, { weight }) => sum + weight, 0);
  return () => {
    let best = entries[0];
    for (const entry of entries) {
      entry.current += entry.weight;
      if (entry.current > best.current) best = entry;
    }
    best.current -= total;
    return best.value;
  };
}
