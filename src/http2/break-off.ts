// How a stream ends that must not look complete. Http2Stream.close() ends the writable side first,
// and a DATA frame with END_STREAM may leave before the RST_STREAM; destroy() sends the reset alone.

import type { Http2Stream } from 'node:http2';
import { addAbortSignal, Readable } from 'node:stream';

/** The error for which node:http2 says CANCEL: its own kind for aborted operations, which nobody else can make. */
const CANCELLED = (() => {
  const probe = new Readable({ read() {} });
  probe.on('error', () => {});
  addAbortSignal(AbortSignal.abort(), probe);
  return probe.errored ?? undefined;
})();
const FAILED = new Error('the response broke off');

/** Resets with CANCEL: nobody is interested any more (RFC 9113 7). */
export function cancel(stream: Http2Stream): void {
  stream.destroy(CANCELLED);
}

/** Resets with INTERNAL_ERROR: it can't be completed. */
export function breakOff(stream: Http2Stream): void {
  stream.destroy(FAILED);
}
