import { Head } from '../http/head.ts';
import { statusLine } from '../http/status-text.ts';
import type { BodyFilter } from '../plugin/body-filter.ts';
import type { RequestView, ResponseView, UpstreamRequestView } from '../plugin/exchange.ts';
import type { WholeReply } from '../plugin/reply.ts';
import type { Exchange } from './exchange.ts';
import { FieldEdits } from './field-edits.ts';

const NO_BODY = new Uint8Array(0);
const NO_FIELDS = new Head();

/** The request as Plugins see it; strings are made when somebody asks. */
export class ExchangeRequest implements RequestView {
  readonly #exchange: Exchange;
  readonly edits = new FieldEdits();
  #path: string | undefined;
  #host: string | undefined;
  #query: string | undefined;
  #parameters: URLSearchParams | undefined;
  clientAddress = '';
  clientPort = 0;
  peerAddress = '';
  scheme: 'http' | 'https' = 'http';
  http2 = false;
  /** The peer is a hop whose X-Forwarded-* are believed. */
  peerTrusted = false;
  collected: Uint8Array | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.edits.clear();
    this.http2 = false;
    this.#path = this.#host = this.#query = this.#parameters = this.collected = undefined;
  }

  get method(): string {
    const { requestHead: head } = this.#exchange;
    const { bytes, methodStart: start } = head;
    const length = head.methodEnd - start;
    // The two that make up nearly all traffic need no conversion.
    if (length === 3 && bytes[start] === 71 && bytes[start + 1] === 69) return 'GET';
    if (length === 4 && bytes[start] === 80 && bytes[start + 1] === 79) return 'POST';
    return head.text(start, head.methodEnd);
  }

  get path(): string {
    const { requestHead: head } = this.#exchange;
    return (this.#path ??= head.text(head.pathStart, head.pathEnd));
  }

  /** Set by the Exchange once it has normalised it. */
  set path(path: string) {
    this.#path = path;
  }

  get query(): string {
    const { requestHead: head } = this.#exchange;
    return (this.#query ??= head.pathEnd < head.targetEnd ? head.text(head.pathEnd + 1, head.targetEnd) : '');
  }

  get host(): string {
    const { requestHead: head } = this.#exchange;
    if (this.#host === undefined) {
      this.#host = head.hostStart < 0 ? '' : head.text(head.hostStart, head.hostEnd).toLowerCase();
      // A name with its root dot is the same name (RFC 3986 3.2.2).
      if (this.#host.endsWith('.')) this.#host = this.#host.slice(0, -1);
    }
    return this.#host;
  }

  /** The authority as the client sent it, with port. */
  get authority(): string {
    const { requestHead: head } = this.#exchange;
    return head.hostStart < 0 ? '' : head.text(head.hostStart, head.authorityEnd);
  }

  get target(): string {
    const { requestHead: head } = this.#exchange;
    return head.text(head.targetStart, head.targetEnd);
  }

  get httpVersion(): '1.0' | '1.1' | '2' {
    if (this.http2) return '2';
    return this.#exchange.requestHead.minorVersion === 0 ? '1.0' : '1.1';
  }

  get body(): Uint8Array {
    return this.collected ?? NO_BODY;
  }

  header(name: string): string | undefined {
    return this.edits.get(this.#exchange.requestHead, name);
  }

  headerValues(name: string): readonly string[] {
    return this.edits.values(this.#exchange.requestHead, name);
  }

  headers(): readonly (readonly [name: string, value: string])[] {
    return this.edits.entries(this.#exchange.requestHead);
  }

  setHeader(name: string, value: string): void {
    this.edits.set(name, value);
  }

  addHeader(name: string, value: string): void {
    this.edits.add(name, value);
  }

  removeHeader(name: string): void {
    this.edits.remove(name);
  }

  queryParameter(name: string): string | undefined {
    if (this.query === '') return undefined;
    this.#parameters ??= new URLSearchParams(this.query);
    return this.#parameters.get(name) ?? undefined;
  }

  cookie(name: string): string | undefined {
    for (const field of this.headerValues('cookie')) {
      for (const pair of field.split(';')) {
        const equals = pair.indexOf('=');
        if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
      }
    }
    return undefined;
  }
}

/** What goes to the Upstream, as far as it differs from what came. */
export class UpstreamRequest implements UpstreamRequestView {
  readonly #request: ExchangeRequest;
  #method: string | undefined;
  #path: string | undefined;
  #query: string | undefined;
  host: string | undefined;
  scheme: 'http' | 'https' | undefined;

  constructor(request: ExchangeRequest) {
    this.#request = request;
  }

  reset(): void {
    this.#method = this.#path = this.#query = this.host = this.scheme = undefined;
  }

  get methodChanged(): boolean {
    return this.#method !== undefined;
  }

  get targetChanged(): boolean {
    return this.#path !== undefined || this.#query !== undefined;
  }

  get method(): string {
    return this.#method ?? this.#request.method;
  }

  set method(method: string) {
    if (!/^[A-Z_-]{1,32}$/.test(method)) throw new TypeError(`not a method: ${JSON.stringify(method)}`);
    this.#method = method;
  }

  get path(): string {
    return this.#path ?? this.#request.path;
  }

  set path(path: string) {
    this.#path = escapeTarget(path.startsWith('/') ? path : `/${path}`, /[^!-"$->@-~]/g);
  }

  get body(): Uint8Array {
    return this.#request.body;
  }

  set body(body: Uint8Array) {
    if (this.#request.collected === undefined) throw new TypeError('there is no body that was held whole');
    this.#request.collected = body;
  }

  get query(): string {
    return this.#query ?? this.#request.query;
  }

  set query(query: string) {
    this.#query = escapeTarget(query, /[^!-"$-~]/g);
  }
}

/** Escapes what must not stand in a request line: a rewritten path must not become a second line. */
function escapeTarget(text: string, forbidden: RegExp): string {
  if (isPlain(text)) return text;
  return text.replace(forbidden, (character) =>
    encodeURIComponent(character.isWellFormed() ? character : '\ufffd').replace(/^[?#]$/, (same) =>
      same === '?' ? '%3F' : '%23',
    ),
  );
}

/** Whether nothing in a path or query can need escaping; nearly always, and cheaper to know than a RegExp. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 33 || code > 126 || code === 35 || code === 63) return false;
  }
  return true;
}

/** The response as Plugins see it: the Upstream's head or a Reply, with edits. */
export class ExchangeResponse implements ResponseView {
  readonly #exchange: Exchange;
  readonly edits = new FieldEdits();
  #status = 0;
  statusChanged = false;
  source: 'gateway' | 'upstream' = 'gateway';
  /** Sent instead of what came. */
  replacement: Uint8Array | undefined;
  /** A Reply takes the place of what came: no field of the Upstream's is sent. */
  replaced = false;
  /** What the body passes through; null where nobody wants to. */
  filters: BodyFilter[] | null = null;
  /** Bytes of a Reply's body; -1 where they aren't known. */
  replyLength = -1;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  reset(): void {
    this.edits.clear();
    this.#status = 0;
    this.statusChanged = false;
    this.source = 'gateway';
    this.replacement = undefined;
    this.replaced = false;
    this.filters = null;
    this.replyLength = -1;
    this.edits.defaultType = '';
  }

  /** Begins with a status that is not an edit. */
  begin(status: number, source: 'gateway' | 'upstream'): void {
    this.#status = status;
    this.source = source;
  }

  get status(): number {
    return this.#status;
  }

  set status(status: number) {
    if (!Number.isInteger(status) || status < 200 || status > 999)
      throw new TypeError(`not a status: ${status}`);
    this.#status = status;
    this.statusChanged = true;
  }

  get statusLine(): Buffer {
    return statusLine(this.#status);
  }

  /** The whole body, for Bindings that need it. */
  get body(): Uint8Array {
    return this.replacement ?? NO_BODY;
  }

  set body(body: Uint8Array) {
    this.replacement = body;
  }

  header(name: string): string | undefined {
    const value = this.edits.get(this.#head, name);
    if (value !== undefined || name !== 'content-type' || this.edits.has(name)) return value;
    return this.edits.defaultType || undefined;
  }

  headerValues(name: string): readonly string[] {
    return this.edits.values(this.#head, name);
  }

  originalHeaders(): readonly (readonly [name: string, value: string])[] {
    const head = this.#head;
    const list: [string, string][] = [];
    for (let i = 0; i < head.count; i++) list.push([head.nameAt(i), head.valueAt(i)]);
    return list;
  }

  get #head(): Head {
    return this.replaced ? NO_FIELDS : this.#exchange.responseHead;
  }

  setHeader(name: string, value: string): void {
    this.edits.set(name, value);
  }

  addHeader(name: string, value: string): void {
    this.edits.add(name, value);
  }

  removeHeader(name: string): void {
    this.edits.remove(name);
  }

  replaceWith({ status, headers, body = NO_BODY }: WholeReply): void {
    this.status = status;
    this.replaced = true;
    this.replaceBody(body);
    this.edits.defaultType = '';
    this.edits.addBefore(headers);
  }

  replaceBody(body: string | Uint8Array): void {
    this.replacement = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  }

  get bodyLength(): number | undefined {
    if (this.replacement !== undefined) return this.replacement.length;
    const length = this.source === 'gateway' ? this.replyLength : this.#exchange.responseHead.contentLength;
    return length < 0 ? undefined : length;
  }

  filterBody(filter: BodyFilter): void {
    this.filters ??= [];
    this.filters.push(filter);
  }
}
