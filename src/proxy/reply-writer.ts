import { output } from '../http/output.ts';
import { STATUS_TEXT } from '../http/status-text.ts';
import { CONGESTED } from '../http/transport.ts';
import type { BodyFilter } from '../plugin/body-filter.ts';
import { type BodySource, collectSource, isBodySource } from '../plugin/body-source.ts';
import { dropReply, type Reply } from '../plugin/reply.ts';
import { nameCodings } from './body-filters.ts';
import { dateLine, now } from './clock.ts';
import { type Exchange, Stage } from './exchange.ts';
import { putGrpcReply, wantsGrpcReply } from './grpc-reply.ts';
import { PluginFailure } from './pipeline.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const TYPE = bytes('Content-Type: ');
const PLAIN = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const CHUNKED = bytes('Transfer-Encoding: chunked\r\n');
const LENGTH = bytes('Content-Length: ');
const CRLF = bytes('\r\n');
const CLOSE = bytes('Connection: close\r\n');
const KEEP_ALIVE = bytes('Connection: keep-alive\r\n');
const SERVER = bytes('Server: sluice\r\n');
const UPSTREAM_STATUS = bytes('X-APISIX-Upstream-Status: ');
const EMPTY = Buffer.alloc(0);
const NO_FILTERS: readonly BodyFilter[] = [];

const PAGES = new Map<number, Buffer>();

/** The house's page for a status, in the shape that users of nginx know. */
function errorPage(status: number): Buffer {
  let page = PAGES.get(status);
  if (page === undefined) {
    const title = `${status} ${STATUS_TEXT[status] ?? ''}`.trim();
    page = bytes(
      `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n<hr><center>sluice</center>\r\n</body>\r\n</html>\r\n`,
    );
    PAGES.set(status, page);
  }
  return page;
}

/** Sends a Reply through the response phases and ends the Exchange. */
export function writeReply(exchange: Exchange, reply: Reply): void {
  const { response } = exchange;
  const second = exchange.bare ? null : exchange.second;
  exchange.responseHead.reset();
  response.begin(reply.status, 'gateway');
  let body: Uint8Array | BodySource;
  let type = PLAIN;
  if (reply.body === undefined) {
    body = reply.status >= 400 ? errorPage(reply.status) : EMPTY;
    if (reply.status >= 400) type = HTML;
  } else body = typeof reply.body === 'string' ? Buffer.from(reply.body, 'utf8') : reply.body;
  try {
    for (const [name, value] of reply.headers) {
      if (name.toLowerCase() === 'content-type') type = value;
      else response.edits.add(name, value);
    }
    response.edits.defaultType = reply.untyped === true && type === PLAIN ? '' : type;
    response.replyLength = body.length ?? -1;
    if (second?.responseHeaders) runResponseHeaders(exchange);
  } catch (error) {
    dropReply(reply);
    throw error;
  }
  if (isBodySource(body) && response.replacement !== undefined) {
    body.close();
    body = response.replacement;
  }
  if (isBodySource(body)) {
    if (second?.responseBody) collect(exchange, body);
    else send(exchange, body);
    return;
  }
  response.replacement ??= body;
  sendReply(exchange);
}

/** Sends a Reply whose head is in the edits, after the handlers of the body. */
export function sendReply(exchange: Exchange): void {
  const { response } = exchange;
  const second = exchange.bare ? null : exchange.second;
  if (second?.responseBody) exchange.responding.transform(() => send(exchange, response.body));
  else send(exchange, response.body);
}

/** A Binding needs the body whole. */
function collect(exchange: Exchange, source: BodySource): void {
  const { response, host } = exchange;
  void exchange.wait(collectSource(source, host.maxCollectedBytes), (body) => {
    if (exchange.stage === Stage.Ended) return;
    response.replacement = body;
    exchange.responding.transform(() => send(exchange, response.body));
  });
}

/** Runs the responseHeaders handlers. */
export function runResponseHeaders(exchange: Exchange): void {
  for (const step of exchange.second!.responseHeaders!) {
    try {
      step.run(exchange);
    } catch (error) {
      throw new PluginFailure(step, error);
    }
  }
}

function send(exchange: Exchange, body: Uint8Array | BodySource): void {
  const { connection, response } = exchange;
  const { status } = response;
  if (connection === null) {
    // Evaluated only: what would have been sent stays with the Exchange.
    if (isBodySource(body)) body.close();
    else response.replacement = body;
    exchange.finish();
    return;
  }
  const length = body.length ?? -1;
  exchange.responding.begun = true;
  if (!connection.canDrain) connection.keepAlive = false;
  if (exchange.request.http2 && wantsGrpcReply(exchange)) {
    if (isBodySource(body)) body.close();
    putGrpcReply(exchange, isBodySource(body) ? EMPTY : body);
    exchange.bytesOut += output.length;
    connection.send();
    exchange.finish();
    return;
  }
  output.begin();
  output.putAll(response.statusLine);
  if (!response.edits.has('date')) output.putAll(dateLine(now()));
  const bodiless = status === 204 || status === 304 || status < 200;
  if (!bodiless && response.edits.defaultType !== '' && !response.edits.has('content-type')) {
    output.putAll(TYPE);
    output.putText(response.edits.defaultType);
    output.putAll(CRLF);
  }
  // Filters decide how long the body is, so what a HEAD would have got is not known.
  const source = isBodySource(body) ? body : undefined;
  const filters = bodiless ? null : (response.filters ?? (source && NO_FILTERS) ?? null);
  if (filters !== null) nameCodings(response);
  const framing =
    filters !== null && !exchange.clientAskedHead
      ? exchange.responding.openFilters(filters, length)
      : filters?.every(({ keepsLength }) => keepsLength) === false
        ? 'none'
        : length;
  if (framing === 'close') connection.keepAlive = false;
  else if (framing === 'chunked') output.putAll(CHUNKED);
  else if (framing !== 'none' && framing >= 0 && !bodiless) {
    output.putAll(LENGTH);
    output.putNumber(framing);
    output.putAll(CRLF);
  }
  output.putAll(connection.stays() ? KEEP_ALIVE : CLOSE);
  if (!response.edits.has('server')) output.putAll(SERVER);
  if (exchange.upstreamStatus >= 500) {
    output.putAll(UPSTREAM_STATUS);
    output.putNumber(exchange.upstreamStatus);
    output.putAll(CRLF);
  }
  if (!response.edits.empty) response.edits.write();
  output.putAll(CRLF);
  const filtered = filters !== null && !exchange.clientAskedHead;
  if (!bodiless && !filtered && !exchange.clientAskedHead) output.putAll(body as Uint8Array);
  exchange.bytesOut += output.length;
  const congested = connection.send() === CONGESTED;
  if (!filtered) {
    source?.close();
    exchange.finish();
  } else if (source !== undefined) exchange.responding.filterSource(source, congested);
  else exchange.responding.filterWhole(body as Uint8Array);
}
