// Runs one Plugin alone, without sockets:
//
//   const { response } = await run(keyAuth, { header: 'x-key' }, { headers: { 'x-key': 'k' } }, {
//     credentials: [{ consumer: 'jane', config: { key: 'k' } }],
//   });
//
// A Plugin that reaches for the clock, chance, timers or the network other than through its Kit
// fails here with an error that names what it called.

import { validate, withDefaults } from '../lib/json-schema.ts';
import type { Value } from '../model/resource.ts';
import { collectSource, isBodySource } from './body-source.ts';
import type { Consumer, CredentialMatch } from './consumer.ts';
import type { Handlers, Plugin } from './define-plugin.ts';
import type { Reply } from './reply.ts';
import { filterBody } from './testing/filter-body.ts';
import { holdGlobals, type RunRecord, runAllowing, runForbidding } from './testing/forbidden-globals.ts';
import type { HeadersInput } from './testing/header-list.ts';
import type { LogLine } from './testing/log-line.ts';
import { TestExchange, type TestRequest } from './testing/test-exchange.ts';
import {
  type ConsumerInput,
  consumerFrom,
  type KitOptions,
  TestKit,
  type TestUpstream,
} from './testing/test-kit.ts';

export { type HeaderFields, HeaderList, type HeadersInput } from './testing/header-list.ts';
export type { LogLine } from './testing/log-line.ts';
export { ManualClock } from './testing/manual-clock.ts';
export { NaiveBreakers } from './testing/naive-breakers.ts';
export { NaiveCache } from './testing/naive-cache.ts';
export { NaiveLimits } from './testing/naive-limits.ts';
export { PlainNumbers } from './testing/plain-numbers.ts';
export type { TestRequest } from './testing/test-exchange.ts';
export type {
  ConsumerInput,
  KitOptions,
  TestCredential,
  TestUpstream,
} from './testing/test-kit.ts';

/** What the Upstream answers; the default is an empty 200. */
export interface UpstreamResponse {
  readonly status?: number;
  readonly headers?: HeadersInput;
  readonly body?: string | Uint8Array;
}

/** What a test may say about one request besides the request itself. */
export interface RequestOptions {
  /** The Upstream's response, or a function that makes it of what the Upstream sees. */
  readonly upstream?:
    | UpstreamResponse
    | ((request: SeenRequest) => UpstreamResponse | Promise<UpstreamResponse>);
  /** A caller whom another Plugin has already recognised. */
  readonly consumer?: ConsumerInput;
  readonly variables?: Readonly<Record<string, string>>;
  readonly routeId?: string;
  readonly routeName?: string;
  readonly serviceId?: string;
}

export type RunOptions = KitOptions & RequestOptions;

/** The request as the Upstream would see it, without what the core adds (X-Forwarded-*, X-Consumer-*). */
export interface SeenRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  /** The Host field's value: the client's, unless a Plugin set another. */
  readonly host: string;
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  /** By lower-case name; several values joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** In order, with names as sent. */
  readonly headerList: readonly (readonly [name: string, value: string])[];
}

export interface SeenResponse {
  readonly status: number;
  readonly source: 'gateway' | 'upstream';
  readonly headers: Readonly<Record<string, string>>;
  readonly headerList: readonly (readonly [name: string, value: string])[];
  /** Read as UTF-8. Empty for a Reply without a body: the house's error page is not the Plugin's. */
  readonly body: string;
  readonly bytes: Uint8Array;
}

export interface RunResult {
  /** The Reply that ended the request; then the Upstream was not asked. */
  readonly reply: Reply | undefined;
  /** After a Reply: what the Upstream would have seen so far. */
  readonly request: SeenRequest;
  readonly response: SeenResponse;
  readonly consumer: Consumer | undefined;
  /** What the Plugin authenticated with. */
  readonly match: CredentialMatch | undefined;
  /** The Upstream that the Plugin chose. */
  readonly upstream: TestUpstream | undefined;
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly id: string;
  /** The milliseconds of every delay that was asked for. */
  readonly delays: readonly number[];
  readonly log: readonly LogLine[];
  /** A variable's value after the last phase. */
  variable(name: string): string | undefined;
}

/** A Binding under test: the Plugin with one config, for as many requests as the test sends. */
export interface BoundPlugin {
  readonly handlers: Handlers;
  readonly kit: TestKit;
  request(request?: TestRequest, options?: RequestOptions): Promise<RunResult>;
  /** Calls the Plugin's `dispose`. */
  dispose(): void;
}

/** Runs one request through a Plugin with a config. */
export async function run(
  plugin: Plugin,
  config: Value = {},
  request: TestRequest = {},
  options: RunOptions = {},
): Promise<RunResult> {
  const bound = bind(plugin, config, options);
  const result = await bound.request(request, options);
  bound.dispose();
  return result;
}

/** Binds a Plugin to a config, for tests that send more than one request. Throws what is wrong with the config. */
export function bind(plugin: Plugin, config: Value = {}, options: KitOptions = {}): BoundPlugin {
  const problem = checkConfig(plugin, config);
  if (problem !== undefined) throw new Error(`plugin ${plugin.name} refuses the config: ${problem}`);
  using _held = holdGlobals();
  const filled = withDefaults(plugin.config, asSent(config)) as never;
  const kit = new TestKit(plugin, options);
  const handlers = runForbidding(newRecord(plugin), () => plugin.create(filled, kit));
  const needsBody = plugin.needsBody?.(filled);
  return {
    handlers,
    kit,
    async request(request = {}, requestOptions = {}) {
      using _heldForRequest = holdGlobals();
      const exchange = new TestExchange(request, {
        id: exchangeId(kit),
        clock: kit.clock,
        routeId: requestOptions.routeId ?? 'test',
        routeName: requestOptions.routeName ?? 'test',
        serviceId: requestOptions.serviceId,
        consumer: requestOptions.consumer === undefined ? undefined : consumerFrom(requestOptions.consumer),
        variables: requestOptions.variables ?? {},
        needsBody,
      });
      const record = newRecord(plugin);
      const reply = await runForbidding(record, () =>
        runPhases(handlers, exchange, needsBody, requestOptions.upstream ?? {}),
      );
      const { response } = exchange;
      return {
        reply,
        request: seenRequest(exchange),
        response: {
          status: response.status,
          source: response.source,
          headers: response.toRecord(),
          headerList: response.headers(),
          body: Buffer.from(response.bytes).toString('utf8'),
          bytes: response.bytes,
        },
        consumer: exchange.consumer,
        match: exchange.match,
        upstream: exchange.chosenUpstream as TestUpstream | undefined,
        clientAddress: exchange.request.clientAddress,
        clientPort: exchange.request.clientPort,
        id: exchange.id,
        delays: record.delays,
        log: record.lines,
        variable: (name) => exchange.variable(name),
      };
    },
    dispose() {
      handlers.dispose?.();
    },
  };
}

/** What is wrong with a config, by its schema or by the Plugin's `check`; undefined when all is well. */
export function checkConfig(plugin: Plugin, config: Value): string | undefined {
  const sent = asSent(config);
  const invalid = validate(plugin.config, sent);
  if (invalid !== undefined) return invalid.message;
  using _held = holdGlobals();
  const filled = withDefaults(plugin.config, sent) as never;
  return runForbidding(newRecord(plugin), () => plugin.check?.(filled));
}

/** A config comes out of JSON, so a property that is undefined isn't there. */
function asSent(config: Value): Value {
  return JSON.parse(JSON.stringify(config)) as Value;
}

function newRecord(plugin: Plugin): RunRecord {
  return { plugin: plugin.name, delays: [], lines: [] };
}

async function runPhases(
  handlers: Handlers,
  exchange: TestExchange,
  needsBody: 'request' | 'response' | 'both' | undefined,
  upstream: NonNullable<RequestOptions['upstream']>,
): Promise<Reply | undefined> {
  try {
    const reply = (await handlers.rewrite?.(exchange)) ?? (await handlers.access?.(exchange));
    if (reply) {
      const { body } = reply;
      const bytes = isBodySource(body)
        ? await runAllowing(() => collectSource(body, Number.POSITIVE_INFINITY))
        : bytesOf(body);
      respondWithReply(exchange, reply, bytes);
    } else {
      handlers.beforeProxy?.(exchange);
      const seen = seenRequest(exchange);
      const given = typeof upstream === 'function' ? await runAllowing(async () => upstream(seen)) : upstream;
      exchange.respond(given.status ?? 200, 'upstream', given.headers ?? [], bytesOf(given.body));
    }
    const returned: unknown = handlers.responseHeaders?.(exchange);
    if (returned instanceof Promise) throw new Error('responseHeaders must be synchronous');
    if (needsBody === 'response' || needsBody === 'both') await handlers.responseBody?.(exchange);
    await runAllowing(() => filterBody(exchange));
    return reply ?? undefined;
  } catch (error) {
    // An exception in a Plugin is a 500 in the gateway, and its log phase runs all the same.
    exchange.respond(500, 'gateway', [], bytesOf(undefined));
    throw error;
  } finally {
    handlers.log?.(exchange);
  }
}

function respondWithReply(exchange: TestExchange, reply: Reply, bytes: Uint8Array): void {
  const typed = reply.headers.some(([name]) => name.toLowerCase() === 'content-type');
  const headers = [...reply.headers];
  if (!typed && reply.body !== undefined) headers.unshift(['Content-Type', 'text/plain; charset=utf-8']);
  exchange.respond(reply.status, 'gateway', headers, bytes);
}

function seenRequest(exchange: TestExchange): SeenRequest {
  const { request, upstream } = exchange;
  return {
    method: upstream.method,
    scheme: upstream.scheme ?? request.scheme,
    host: upstream.host ?? request.header('host') ?? '',
    path: upstream.path,
    query: upstream.query,
    headers: request.toRecord(),
    headerList: [...request.headers()],
  };
}

function bytesOf(body: string | Uint8Array | undefined): Uint8Array {
  return typeof body === 'string' ? Buffer.from(body) : (body ?? Buffer.of());
}

function exchangeId(kit: TestKit): string {
  let id = '';
  while (id.length < 32)
    id += Math.floor(kit.random() * 0x10000)
      .toString(16)
      .padStart(4, '0');
  return id;
}
