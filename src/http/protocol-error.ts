/** Why a message was refused: the status to answer a client with, and a fixed word for the log. */
export interface ProtocolError {
  readonly status: number;
  readonly reason: string;
}

const refuse = (status: number, reason: string): ProtocolError => Object.freeze({ status, reason });

/** Every way in which an HTTP/1.1 message can be refused. RFC 9112 sections in parentheses. */
export const Refusal = {
  /** A request line that isn't one (3). */
  RequestLine: refuse(400, 'bad_request_line'),
  Method: refuse(400, 'bad_method'),
  /** CONNECT and TRACE are not for a gateway. */
  MethodNotAllowed: refuse(405, 'method_not_allowed'),
  Target: refuse(400, 'bad_target'),
  TargetTooLong: refuse(414, 'target_too_long'),
  Version: refuse(505, 'bad_version'),
  StatusLine: refuse(502, 'bad_status_line'),
  FieldName: refuse(400, 'bad_field_name'),
  FieldValue: refuse(400, 'bad_field_value'),
  /** obs-fold, bare CR or LF (2.2, 5.2). */
  LineEnd: refuse(400, 'bad_line_end'),
  HeadTooLarge: refuse(431, 'head_too_large'),
  TooManyFields: refuse(431, 'too_many_fields'),
  /** A name that becomes a field we act on when `_` is read as `-`. */
  UnderscoreName: refuse(400, 'underscore_name'),
  NoHost: refuse(400, 'no_host'),
  ManyHosts: refuse(400, 'many_hosts'),
  Host: refuse(400, 'bad_host'),
  /** Not digits only, or given twice (6.3). */
  ContentLength: refuse(400, 'bad_content_length'),
  /** Anything but exactly `chunked` (6.1). */
  TransferCoding: refuse(501, 'bad_transfer_coding'),
  ManyTransferCodings: refuse(400, 'many_transfer_codings'),
  LengthAndCoding: refuse(400, 'length_and_coding'),
  CodingInHttp10: refuse(400, 'coding_in_http_1_0'),
  Expectation: refuse(417, 'bad_expectation'),
  Chunk: refuse(400, 'bad_chunk'),
  BodyTooLarge: refuse(413, 'body_too_large'),
  HeadTimeout: refuse(408, 'head_timeout'),
  BodyTimeout: refuse(408, 'body_timeout'),
  /** The time that a gRPC client allowed for its call is over. */
  GrpcDeadline: refuse(504, 'grpc_deadline'),
} as const;
