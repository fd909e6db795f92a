import type { IncomingMessage } from 'node:http';
import { jsonError, nestedTooDeep } from '../lib/json-error.ts';
import { type AdminReply, errorReply } from './admin-reply.ts';

const MAXIMUM_BYTES = 1024 * 1024 * 1.5;
/** How much of a body that is too large is still taken, so that the client can read the refusal. */
const DISCARDED_BYTES = 16 * 1024 * 1024;

export type Body =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reply: AdminReply };

/** Reads the whole body as UTF-8. Rejects when the client goes away. */
export async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= MAXIMUM_BYTES) chunks.push(chunk);
    else if (size > DISCARDED_BYTES) break;
  }
  const declared = Number(request.headers['content-length'] ?? size);
  if (size > MAXIMUM_BYTES) {
    return refused(
      `request size ${Math.max(size, declared)} is greater than the maximum size ${MAXIMUM_BYTES} allowed`,
    );
  }
  try {
    return {
      ok: true,
      text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks)),
    };
  } catch {
    return refused('not UTF-8');
  }
}

function refused(message: string): Body {
  return { ok: false, reply: errorReply(400, `invalid request body: ${message}`) };
}

export type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reply: AdminReply };

/** Parses JSON; an empty text is no value. The refusal of a broken one repeats what was sent, as APISIX's does. */
export function parseJson(text: string): Parsed {
  if (text === '') return { ok: true, value: undefined };
  try {
    if (!nestedTooDeep(text)) return { ok: true, value: JSON.parse(text) };
  } catch {
    // The reason is found below, in the words that users know.
  }
  const body = { error_msg: `invalid request body: ${jsonError(text)}`, req_body: text };
  return { ok: false, reply: { status: 400, body } };
}
