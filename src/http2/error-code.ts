/** The error codes of HTTP/2 that we send or act on (RFC 9113 7). */
export const ErrorCode = {
  No: 0,
  Protocol: 1,
  Internal: 2,
  RefusedStream: 7,
  Cancel: 8,
} as const;
