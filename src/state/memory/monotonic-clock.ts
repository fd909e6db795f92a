// performance.now() is the cheapest monotonic clock that allocates nothing, but it counts from an
// origin that may differ between threads. process.hrtime is CLOCK_MONOTONIC, which all threads
// share, but it makes a bigint or an array. Both read the same clock: their distance is fixed for a
// thread's life and is measured once, by the closest of several sandwiched readings.

function measureOffset(): number {
  let offset = 0;
  let narrowest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const before = performance.now();
    const shared = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    offset = shared - (before + after) / 2;
  }
  return offset;
}

const offset = measureOffset();

/** Milliseconds on a clock that never goes back and that all threads of the process agree on, to about a microsecond. */
export function monotonic(): number {
  return performance.now() + offset;
}
