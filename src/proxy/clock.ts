// One reading of the monotonic clock per event, and wall-clock time derived from it: the wall clock
// may jump, durations and timeouts must not.

import { eventTime } from '../lib/event-clock.ts';

let offset = Date.now() - performance.now();
let checked = performance.now();

/** Monotonic milliseconds of this thread, as of the present event. */
export const now = eventTime;

/** Unix milliseconds at a moment given by `now`. Follows a changed wall clock within a second. */
export function wallClock(monotonic: number): number {
  if (monotonic - checked > 1000) {
    checked = monotonic;
    offset = Date.now() - performance.now();
  }
  return monotonic + offset;
}

let dateSecond = 0;
const dateField = Buffer.from('Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n', 'latin1');

/** A Date field (RFC 9110 6.6.1) with its CRLF, for the current second. */
export function dateLine(monotonic: number): Buffer {
  const second = Math.floor(wallClock(monotonic) / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateField.write(new Date(second * 1000).toUTCString(), 6, 'latin1');
  }
  return dateField;
}
