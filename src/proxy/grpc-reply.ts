// The gateway's own answers to gRPC calls: HTTP 200, and what went wrong as a gRPC status.

import { output } from '../http/output.ts';
import { Refusal } from '../http/protocol-error.ts';
import { STATUS_TEXT } from '../http/status-text.ts';
import { GrpcStatus, grpcMessage, grpcStatusOf } from '../http2/grpc-status.ts';
import { isGrpc } from '../http2/head-text.ts';
import { isObject } from '../lib/json.ts';
import { dateLine, now } from './clock.ts';
import type { Exchange } from './exchange.ts';
import type { FieldEdits } from './field-edits.ts';

/** A message longer than this helps nobody, and trailers have a limit. */
const MAX_MESSAGE = 1024;

/** Whether a client of HTTP/2 made a gRPC call, and the answer about to be sent isn't one to it. */
export function wantsGrpcReply({ requestHead: head, response }: Exchange): boolean {
  const field = head.find('content-type');
  return field >= 0 && isGrpc(head.valueAt(field)) && !isGrpc(typeOf(response.edits));
}

function typeOf(edits: FieldEdits): string {
  return edits.added('content-type') ?? edits.defaultType;
}

/**
 * Puts the answer into the output: fields alone, which an HTTP/2 stream sends as trailers (gRPC's
 * Trailers-Only). Log and metrics keep the HTTP status that it stands for.
 */
export function putGrpcReply(exchange: Exchange, body: Uint8Array): void {
  const { response, reason } = exchange;
  const { status, edits } = response;
  const code = reason === Refusal.GrpcDeadline.reason ? GrpcStatus.DeadlineExceeded : grpcStatusOf(status);
  edits.remove('content-type');
  output.begin();
  output.putText('HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n');
  output.putText(`grpc-status: ${code}\r\ngrpc-message: ${grpcMessage(messageOf(status, body))}\r\n`);
  if (!edits.has('date')) output.putAll(dateLine(now()));
  if (!edits.has('server')) output.putText('Server: sluice\r\n');
  if (!edits.empty) edits.write();
  output.putText('Content-Length: 0\r\n\r\n');
}

/** What Plugins say in their JSON, else the status in words. */
function messageOf(status: number, body: Uint8Array): string {
  const said = body[0] === 123 ? messageIn(Buffer.from(body).toString('utf8')) : undefined;
  return said?.slice(0, MAX_MESSAGE) ?? STATUS_TEXT[status] ?? `HTTP status ${status}`;
}

function messageIn(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    const message = isObject(value) ? (value.message ?? value.error_msg) : undefined;
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
