import type { DiscoveryListener, DiscoverySurroundings } from './discovery.ts';

/**
 * What comes after a round: a pause of so many milliseconds, or the next round at once, which is
 * delayed where there was no news although nobody waited for any.
 */
export type Next = number | 'news' | 'no news';

/** First and longest pause after a failure, in ms; each is up to twice the one before. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** The longest before an answer without news is asked for again: meanwhile news would go unheard. */
const LONGEST_IDLE_MS = 2000;
/** So often at most, however fast the news come. */
const NEWS_PAUSE_MS = 20;
/** A round that took this long did wait, and a failure after it is the first one. */
const LONG_ROUND_MS = 1000;

/**
 * Asks a registry for ever: `ask` is called again after each round, and after a pause that doubles
 * and is partly chance where it rejects, so that a registry that comes back isn't met by everybody
 * at once. `good` may be called during a round: the registry does answer.
 */
export function keepAsking(
  ask: (signal: AbortSignal, good: () => void) => Promise<Next>,
  listener: Pick<DiscoveryListener, 'onTrouble'>,
  { delay, random }: Pick<DiscoverySurroundings, 'delay' | 'random'>,
): () => void {
  const stopped = new AbortController();
  const { signal } = stopped;
  const good = (): void => {
    if (!signal.aborted) listener.onTrouble(undefined);
  };
  let idle = 0;
  const backoff = (longest: number): number =>
    Math.min(longest, FIRST_PAUSE_MS * 2 ** Math.min(idle++, 20)) * (0.5 + random() / 2);
  const round = async (): Promise<number> => {
    const started = performance.now();
    const waited = () => performance.now() - started >= LONG_ROUND_MS;
    try {
      const next = await ask(signal, good);
      good();
      if (next === 'no news' && !waited()) return backoff(LONGEST_IDLE_MS);
      idle = 0;
      return typeof next === 'number' ? next : next === 'news' ? NEWS_PAUSE_MS : 0;
    } catch (error) {
      if (waited()) idle = 0;
      if (!signal.aborted) listener.onTrouble(error instanceof Error ? error.message : String(error));
      return backoff(LONGEST_PAUSE_MS);
    }
  };
  void (async () => {
    while (!signal.aborted) {
      const pause = await round();
      if (!signal.aborted) await delay(pause, signal);
    }
  })();
  return () => stopped.abort();
}
