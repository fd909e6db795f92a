// Ends a worker whose event loop stands still, so that it is replaced: its own connections are lost
// anyway, and the system goes on giving it new ones that nobody would serve.

/** Looks at a worker's pulse in this many parts of the time that it is given. */
const LOOKS = 10;

/** How often a worker beats and the supervisor looks, in milliseconds. */
export function pulseInterval(timeoutMs: number): number {
  return Math.max(10, timeoutMs / LOOKS);
}

/** Begins to beat: adds 1 to the pulse as long as the event loop turns. */
export function beat(pulse: SharedArrayBuffer, timeoutMs: number): void {
  const count = new Int32Array(pulse);
  setInterval(() => Atomics.add(count, 0, 1), pulseInterval(timeoutMs)).unref();
}

/**
 * Watches one pulse; calls `onStill` once when it has stood still for the whole time. Looks are
 * counted rather than time: when the supervisor itself, or the whole machine, was held up, workers
 * must not pay for it. Returns what ends the watching.
 */
export function watchPulse(pulse: SharedArrayBuffer, timeoutMs: number, onStill: () => void): () => void {
  const count = new Int32Array(pulse);
  let last = Atomics.load(count, 0);
  let still = 0;
  const timer = setInterval(() => {
    const now = Atomics.load(count, 0);
    still = now === last ? still + 1 : 0;
    last = now;
    if (still < LOOKS) return;
    clearInterval(timer);
    onStill();
  }, pulseInterval(timeoutMs));
  timer.unref();
  return () => clearInterval(timer);
}
