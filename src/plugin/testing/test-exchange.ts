import type { BodyFilter } from '../body-filter.ts';
import type { Consumer, CredentialMatch } from '../consumer.ts';
import type {
  AccessExchange,
  CacheStatus,
  LogExchange,
  RequestView,
  ResponseBodyExchange,
  ResponseExchange,
  RewriteExchange,
  Slot,
  UpstreamHandle,
  UpstreamRequestView,
} from '../exchange.ts';
import type { Clock } from '../kit.ts';
import type { WholeReply } from '../reply.ts';
import { HeaderList, type HeadersInput } from './header-list.ts';

/** A request as a test writes it; everything may be left out. */
export interface TestRequest {
  readonly method?: string;
  /** Path and query; the default is `/`. */
  readonly target?: string;
  readonly scheme?: 'http' | 'https';
  /** As in the Host field, with a port or without. */
  readonly host?: string;
  readonly headers?: HeadersInput;
  readonly body?: string | Uint8Array;
  readonly httpVersion?: '1.0' | '1.1' | '2';
  /** What the core takes for the client's address; the default is `peerAddress`. */
  readonly clientAddress?: string;
  readonly clientPort?: number;
  readonly peerAddress?: string;
}

export interface ExchangeOptions {
  readonly id: string;
  readonly clock: Clock;
  readonly routeId: string;
  readonly routeName: string;
  readonly serviceId: string | undefined;
  readonly consumer: Consumer | undefined;
  readonly variables: Readonly<Record<string, string>>;
  readonly needsBody: 'request' | 'response' | 'both' | undefined;
}

/** Where the Route goes. */
const ROUTES: UpstreamHandle = { key: 'route' };

class TestRequestView extends HeaderList implements RequestView {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string;
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1' | '2';
  readonly peerAddress: string;
  clientAddress: string;
  clientPort: number;
  readonly #body: Uint8Array;
  readonly #mayReadBody: boolean;

  constructor(request: TestRequest, mayReadBody: boolean) {
    const fields = new HeaderList(request.headers);
    const host = request.host ?? fields.header('host') ?? 'gateway.test';
    super(fields.header('host') === undefined ? [['Host', host], ...fields.headers()] : fields.headers());
    this.method = request.method ?? (request.body === undefined ? 'GET' : 'POST');
    this.scheme = request.scheme ?? 'http';
    this.authority = host;
    this.host = host.replace(/:\d+$/, '').toLowerCase();
    this.target = request.target ?? '/';
    const question = this.target.indexOf('?');
    this.path = question < 0 ? this.target : this.target.slice(0, question);
    this.query = question < 0 ? '' : this.target.slice(question + 1);
    this.httpVersion = request.httpVersion ?? '1.1';
    this.peerAddress = request.peerAddress ?? request.clientAddress ?? '192.0.2.1';
    this.clientAddress = request.clientAddress ?? this.peerAddress;
    this.clientPort = request.clientPort ?? 50000;
    this.#body = typeof request.body === 'string' ? Buffer.from(request.body) : (request.body ?? Buffer.of());
    this.#mayReadBody = mayReadBody;
  }

  get body(): Uint8Array {
    if (!this.#mayReadBody) throw new Error("reading request.body needs needsBody: 'request'");
    return this.#body;
  }

  /** The body, for whoever made this view; Plugins read `body`. */
  get bytes(): Uint8Array {
    return this.#body;
  }

  queryParameter(name: string): string | undefined {
    for (const piece of this.query.split('&')) {
      const equals = piece.indexOf('=');
      if (decode(equals < 0 ? piece : piece.slice(0, equals)) !== name || piece === '') continue;
      return equals < 0 ? '' : decode(piece.slice(equals + 1));
    }
    return undefined;
  }

  cookie(name: string): string | undefined {
    for (const field of this.headerValues('cookie')) {
      for (const piece of field.split(';')) {
        const equals = piece.indexOf('=');
        if (equals >= 0 && piece.slice(0, equals).trim() === name) return piece.slice(equals + 1).trim();
      }
    }
    return undefined;
  }
}

class TestResponseView extends HeaderList {
  status: number;
  readonly source: 'gateway' | 'upstream';
  /** The bytes, for whoever made this view; Plugins read `body`. */
  bytes: Uint8Array;
  readonly filters: BodyFilter[] = [];
  #original: readonly (readonly [name: string, value: string])[];
  readonly #mayReadBody: boolean;

  constructor(
    status: number,
    source: 'gateway' | 'upstream',
    headers: HeadersInput,
    bytes: Uint8Array,
    mayReadBody: boolean,
  ) {
    super(headers);
    this.status = status;
    this.source = source;
    this.bytes = bytes;
    this.#mayReadBody = mayReadBody;
    this.#original = source === 'upstream' ? [...this.headers()] : [];
  }

  originalHeaders(): readonly (readonly [name: string, value: string])[] {
    return this.#original;
  }

  replaceWith({ status, headers, body = '' }: WholeReply): void {
    for (const [name] of this.#original) this.removeHeader(name);
    for (const [name, value] of headers) this.addHeader(name, value);
    this.status = status;
    this.#original = [];
    this.replaceBody(body);
  }

  get bodyLength(): number | undefined {
    if (this.source === 'gateway') return this.bytes.length;
    const length = this.header('content-length');
    return length === undefined ? undefined : Number(length);
  }

  replaceBody(body: string | Uint8Array): void {
    this.bytes = typeof body === 'string' ? Buffer.from(body) : body;
  }

  filterBody(filter: BodyFilter): void {
    this.filters.push(filter);
  }

  get body(): Uint8Array {
    if (!this.#mayReadBody) throw new Error("reading response.body needs needsBody: 'response'");
    return this.bytes;
  }

  set body(body: Uint8Array) {
    if (!this.#mayReadBody) throw new Error("writing response.body needs needsBody: 'response'");
    this.bytes = body;
  }
}

/** One Exchange in memory; all views of it are this object, as in the gateway. */
export class TestExchange
  implements RewriteExchange, AccessExchange, ResponseExchange, ResponseBodyExchange, LogExchange
{
  readonly id: string;
  readonly request: TestRequestView;
  readonly upstream: UpstreamRequestView;
  readonly routeId: string;
  readonly routeName: string;
  readonly serviceId: string | undefined;
  readonly startedAt: number;
  consumer: Consumer | undefined;
  /** What `authenticate` was last called with. */
  match: CredentialMatch | undefined;
  chosenUpstream: UpstreamHandle | undefined;
  cacheStatus: CacheStatus | '' = '';
  upstreamAsked = false;
  readonly #slots = new Map<unknown, unknown>();
  #answeredWith: string | undefined;
  readonly #variables: Map<string, string | undefined>;
  readonly #clock: Clock;
  readonly #startedMonotonic: number;
  readonly #needsBody: ExchangeOptions['needsBody'];
  #response: TestResponseView | undefined;

  constructor(request: TestRequest, options: ExchangeOptions) {
    this.id = options.id;
    this.#needsBody = options.needsBody;
    this.request = new TestRequestView(request, this.#needs('request'));
    this.upstream = {
      method: this.request.method,
      path: this.request.path,
      query: this.request.query,
      host: undefined,
      scheme: undefined,
      body: this.#needs('request') ? this.request.body : Buffer.of(),
    };
    this.routeId = options.routeId;
    this.routeName = options.routeName;
    this.serviceId = options.serviceId;
    this.consumer = options.consumer;
    this.#variables = new Map(Object.entries(options.variables));
    this.#clock = options.clock;
    this.startedAt = options.clock.now();
    this.#startedMonotonic = options.clock.monotonic();
  }

  get response(): TestResponseView {
    if (this.#response === undefined) throw new Error('there is no response before responseHeaders');
    return this.#response;
  }

  get durationMs(): number {
    return this.#clock.monotonic() - this.#startedMonotonic;
  }

  get<T>(slot: Slot<T>): T | undefined {
    return this.#slots.get(slot) as T | undefined;
  }

  set<T>(slot: Slot<T>, value: T): void {
    this.#slots.set(slot, value);
  }

  authenticate(match: CredentialMatch): void {
    this.match = match;
    this.consumer = match.consumer;
  }

  limitBody(bytes: number): boolean {
    return this.request.bytes.length <= bytes;
  }

  copyBody(maximum: number): Promise<Uint8Array | undefined> {
    const { bytes } = this.request;
    return Promise.resolve(bytes.length > maximum ? undefined : Uint8Array.from(bytes));
  }

  setClientAddress(address: string, port?: number): void {
    this.request.clientAddress = address;
    if (port !== undefined) this.request.clientPort = port;
  }

  get ended(): boolean {
    return false;
  }

  get destination(): UpstreamHandle | undefined {
    return this.chosenUpstream ?? ROUTES;
  }

  useUpstream(upstream: UpstreamHandle): void {
    this.chosenUpstream = upstream;
  }

  respond(status: number, source: 'gateway' | 'upstream', headers: HeadersInput, body: Uint8Array): void {
    this.#answeredWith = String(status);
    if (source === 'upstream') this.upstreamAsked = true;
    this.#response = new TestResponseView(status, source, headers, body, this.#needs('response'));
  }

  setVariable(name: string, value: string | undefined): void {
    this.#variables.set(name, value);
  }

  variable(name: string): string | undefined {
    if (this.#variables.has(name)) return this.#variables.get(name);
    const { request } = this;
    if (name.startsWith('http_')) return request.header(name.slice(5).replaceAll('_', '-').toLowerCase());
    if (name.startsWith('arg_')) return request.queryParameter(name.slice(4));
    if (name.startsWith('cookie_')) return request.cookie(name.slice(7));
    switch (name) {
      case 'remote_addr':
        return request.clientAddress;
      case 'remote_port':
        return String(request.clientPort);
      case 'realip_remote_addr':
        return request.peerAddress;
      case 'uri':
        return request.path;
      case 'request_uri':
        return request.target;
      case 'args':
      case 'query_string':
        return request.query === '' ? undefined : request.query;
      case 'is_args':
        return request.query === '' ? undefined : '?';
      case 'host':
        return request.host;
      case 'scheme':
        return request.scheme;
      case 'method':
      case 'request_method':
        return request.method;
      case 'server_protocol':
        return `HTTP/${request.httpVersion}`;
      case 'content_type':
      case 'content_length':
        return request.header(name.replace('_', '-'));
      case 'request_id':
        return this.id;
      case 'upstream_status':
        return this.#response?.source === 'upstream' ? this.#answeredWith : undefined;
      case 'route_id':
        return this.routeId;
      case 'route_name':
        return this.routeName;
      case 'service_id':
        return this.serviceId;
      case 'consumer_name':
        return this.consumer?.username;
      case 'consumer_group_id':
        return this.consumer?.groupId;
      case 'status':
        return this.#response === undefined ? undefined : String(this.#response.status);
      default:
        return undefined;
    }
  }

  #needs(body: 'request' | 'response'): boolean {
    return this.#needsBody === body || this.#needsBody === 'both';
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
