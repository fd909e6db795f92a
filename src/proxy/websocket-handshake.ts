// The opening of a WebSocket (RFC 6455 4), checked on both sides: a tunnel that only one side means
// is how requests are smuggled past a gateway.

import { hash } from 'node:crypto';
import { type Reply, reply } from '../plugin/reply.ts';
import type { Exchange } from './exchange.ts';

const VERSION = '13';
/** The constant of RFC 6455 1.3. */
const SALT = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

const BAD_HANDSHAKE = reply(400, undefined, { reason: 'bad_handshake' });
const OTHER_VERSION = reply(426, undefined, {
  headers: [['Sec-WebSocket-Version', VERSION]],
  reason: 'websocket_version',
});

/** Whether the request asks for a WebSocket on a Route that has them. An HTTP/1.0 client can't (RFC 9110 7.8). */
function asksWebSocket(exchange: Exchange): boolean {
  const head = exchange.requestHead;
  if (!head.upgrade || exchange.route?.websocket !== true || head.minorVersion !== 1) return false;
  return exchange.request.header('upgrade')?.toLowerCase() === 'websocket';
}

function isWellFormed({ request, requestHead: head }: Exchange): boolean {
  return (
    request.method === 'GET' &&
    // The bytes after the head must be the tunnel's alone.
    !head.chunked &&
    head.contentLength <= 0 &&
    /^[A-Za-z0-9+/]{22}==$/.test(request.header('sec-websocket-key') ?? '')
  );
}

/** Whether the request asks for a WebSocket, well-formed, on a Route that allows it (RFC 6455 4.1). */
export function wantsWebSocket(exchange: Exchange): boolean {
  return asksWebSocket(exchange) && refusedHandshake(exchange) === undefined;
}

/** The answer to a request for a WebSocket that isn't well-formed (RFC 6455 4.2.1, 4.4); undefined for all others. */
export function refusedHandshake(exchange: Exchange): Reply | undefined {
  if (!asksWebSocket(exchange)) return undefined;
  if (!isWellFormed(exchange)) return BAD_HANDSHAKE;
  return exchange.request.header('sec-websocket-version') === VERSION ? undefined : OTHER_VERSION;
}

/** Whether the Upstream's 101 is an answer to this very request (RFC 6455 4.1). */
export function acceptsWebSocket({ request, response, responseHead }: Exchange): boolean {
  return (
    responseHead.upgrade &&
    response.header('upgrade')?.toLowerCase() === 'websocket' &&
    response.header('sec-websocket-accept') ===
      hash('sha1', `${request.header('sec-websocket-key')}${SALT}`, 'base64')
  );
}
