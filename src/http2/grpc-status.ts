// The status codes of gRPC, as far as a gateway says them.

export const GrpcStatus = {
  Unknown: 2,
  DeadlineExceeded: 4,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Unimplemented: 12,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;

/** By gRPC's own table (http-grpc-status-mapping.md); what exceeds a limit isn't in it. */
const BY_HTTP_STATUS: ReadonlyMap<number, number> = new Map([
  [400, GrpcStatus.Internal],
  [401, GrpcStatus.Unauthenticated],
  [403, GrpcStatus.PermissionDenied],
  [404, GrpcStatus.Unimplemented],
  [413, GrpcStatus.ResourceExhausted],
  [414, GrpcStatus.ResourceExhausted],
  [429, GrpcStatus.Unavailable],
  [431, GrpcStatus.ResourceExhausted],
  [502, GrpcStatus.Unavailable],
  [503, GrpcStatus.Unavailable],
  [504, GrpcStatus.Unavailable],
]);

/** What an answer of the gateway with that HTTP status means to a gRPC client. */
export function grpcStatusOf(httpStatus: number): number {
  return BY_HTTP_STATUS.get(httpStatus) ?? GrpcStatus.Unknown;
}

/** A text as grpc-message carries it: UTF-8, all but printable ASCII percent-encoded, `%` too. */
export function grpcMessage(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    if (byte >= 32 && byte <= 126 && byte !== 37) encoded += String.fromCharCode(byte);
    else encoded += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  }
  return encoded;
}

const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a grpc-timeout field: up to eight digits and a unit; undefined when it isn't one. */
export function grpcTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Number(match[1]) * UNITS[match[2]];
}
