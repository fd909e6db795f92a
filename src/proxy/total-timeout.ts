import type { Deadlines, Waiting } from '../lib/deadlines.ts';

/** The deadline of all attempts of one request together. */
export class TotalTimeout implements Waiting {
  deadlines: Deadlines | null = null;
  previousWaiting: Waiting | null = null;
  nextWaiting: Waiting | null = null;
  dueAt = 0;
  readonly onDeadline: () => void;

  constructor(onDeadline: () => void) {
    this.onDeadline = onDeadline;
  }
}
