import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks again and again until there is an answer that is neither undefined nor false. For what a
 * process does in its own time; the deadline only ends a test that would fail anyway.
 */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  deadlineMs = 15_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`never came true: ${what}`, { cause: last });
    await sleep(10);
  }
}
