import { type BodySource, isBodySource } from './body-source.ts';

/** An answer that the gateway gives itself, instead of the Upstream's. A value, not an exception. */
export interface Reply {
  readonly status: number;
  /** Header fields in addition to Date, Server and the framing; `Content-Type` here replaces the default. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The body; undefined means the house's error page for 4xx and 5xx, and no body otherwise. */
  readonly body: string | Uint8Array | BodySource | undefined;
  /** The headers are all there are: no Content-Type is added to a body without one. */
  readonly untyped?: boolean;
  /** A short reason for log and explain, never sent to the client. */
  readonly reason: string | undefined;
}

/** A Reply whose body is there. */
export type WholeReply = Reply & { readonly body: string | Uint8Array | undefined };

export interface ReplyOptions {
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly reason?: string;
}

/**
 * Makes a Reply. An object becomes a line of JSON with APISIX's default type, `text/plain;
 * charset=utf-8`; a string or bytes are sent as they are.
 */
export function reply(
  status: number,
  body?: string | Uint8Array | Readonly<Record<string, unknown>>,
  options: ReplyOptions = {},
): Reply {
  const bytes =
    body === undefined || typeof body === 'string' || body instanceof Uint8Array
      ? body
      : `${JSON.stringify(body)}\n`;
  return { status, headers: options.headers ?? [], body: bytes, reason: options.reason };
}

/** Lets go of what a Reply holds that nobody gets. */
export function dropReply(reply: Reply | undefined): void {
  if (isBodySource(reply?.body)) reply.body.close();
}

/** A Reply whose body is made while it is sent. */
export function streamedReply(status: number, body: BodySource, options: ReplyOptions = {}): Reply {
  return { status, headers: options.headers ?? [], body, reason: options.reason };
}
