// Whatever is configured and whatever comes: what `explain` says would happen is what happens.
//
// Configurations and requests are drawn from a small grammar. Each request is evaluated first, by the
// counters that the data plane uses, and then really sent, to a data plane with real sockets before
// Upstreams that remember what they got.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { after, test } from 'node:test';
import tls from 'node:tls';
import fc from 'fast-check';
import { BalancerState } from '../../src/balancers/balancer-state.ts';
import { deadlinesOf } from '../../src/lib/deadlines.ts';
import { IpSet } from '../../src/lib/ip-range.ts';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { WrittenResource } from '../../src/model/configuration.ts';
import { resolveListener } from '../../src/model/listener.ts';
import type { Kind, Value } from '../../src/model/resource.ts';
import { defaultSettings, type Settings } from '../../src/model/settings.ts';
import { plugins } from '../../src/plugins/index.ts';
import { DataPlane } from '../../src/proxy/data-plane.ts';
import type { EvaluationRequest, Explanation } from '../../src/proxy/explanation.ts';
import { sendOwnRequest } from '../../src/proxy/own-requests.ts';
import { Pools } from '../../src/proxy/pools.ts';
import { requestBytes } from '../../src/proxy/request-bytes.ts';
import { Runtime } from '../../src/proxy/runtime.ts';
import { balancersOn } from '../../src/server/balancing.ts';
import { createEvaluator } from '../../src/server/create-evaluator.ts';
import { createConfiguration } from '../../src/server/gateway.ts';
import { monotonic } from '../../src/state/memory/monotonic-clock.ts';
import { allocateSharedState, SharedState } from '../../src/state/memory/shared-state.ts';

const RUNS = 120;
const REQUESTS = 6;

// Upstreams that remember.

interface Seen {
  readonly port: number;
  readonly head: string;
}

const seen: Seen[] = [];
const upstreams = await Promise.all([startUpstream(), startUpstream()]);
const [ONE, TWO] = upstreams.map((server) => (server.address() as net.AddressInfo).port);
after(() => {
  for (const server of upstreams) server.close();
});

async function startUpstream(): Promise<net.Server> {
  const server = net.createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      text += bytes.latin1Slice();
      for (;;) {
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = text.slice(0, end);
        const size = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
        if (text.length < end + 4 + size) return;
        text = text.slice(end + 4 + size);
        seen.push({ port: (server.address() as net.AddressInfo).port, head });
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'.slice(0, /^HEAD /.test(head) ? -2 : undefined),
        );
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

// The grammar.

const VARS = [
  [['arg_v', '==', '1']],
  [['http_x_t', '~~', '^q']],
  [['OR', ['arg_v', '==', '2'], ['remote_addr', 'ipmatch', ['10.0.0.0/8']]]],
  [
    ['arg_v', '!', '==', '1'],
    ['request_method', 'in', ['GET', 'POST']],
  ],
];
const ADDRESSES = ['127.0.0.1', '10.1.2.3', '192.0.2.9', '2001:db8::1'];

const meta = fc.option(
  fc.constantFrom<Value>(
    { filter: [['arg_f', '==', '1']] },
    { priority: 5000 },
    { priority: -3 },
    { disable: true },
    { error_response: { message: 'no' } },
  ),
  { nil: undefined, freq: 4 },
);

/** Configs of each Plugin that may be drawn. */
const CONFIGS: Readonly<Record<string, readonly Value[]>> = {
  'key-auth': [{}, { hide_credentials: true }, { anonymous_consumer: 'guest' }, { header: 'X-Own' }],
  'proxy-rewrite': [
    { uri: '/up' },
    { regex_uri: ['^/a/(.*)', '/z/$1'], headers: { set: { 'X-Set': '$remote_addr' }, remove: ['X-T'] } },
    { method: 'POST', headers: { add: { 'X-Consumer': '$consumer_name' } } },
    { host: 'up.example:99', uri: '/u$uri?w=1' },
    { use_real_request_uri_unsafe: true },
  ],
  redirect: [
    { uri: '/to$uri', ret_code: 301 },
    { http_to_https: true },
    { regex_uri: ['^/b/(.*)', '/c/$1'], append_query_string: true },
  ],
  'ip-restriction': [
    { whitelist: ['127.0.0.0/8', '192.0.2.0/24'] },
    { blacklist: ['10.0.0.0/8'], message: 'go away', response_code: 404 },
  ],
  'consumer-restriction': [
    { whitelist: ['jane', 'guest'] },
    { blacklist: ['jack'], rejected_code: 451 },
    { type: 'consumer_group_id', whitelist: ['gold'] },
    { type: 'route_id', blacklist: ['r1'] },
  ],
  mocking: [
    { response_example: 'mock for $remote_addr', content_type: 'text/plain', response_status: 203 },
    { response_example: '{}', response_headers: { 'X-M': '$uri' } },
  ],
  'limit-count': [
    { count: 1, time_window: 600, rejected_code: 429 },
    { count: 2, time_window: 600, key_type: 'var', key: 'consumer_name', rejected_msg: 'too many' },
    { count: 2, time_window: 600, group: 'all', key: 'remote_addr' },
    { count: 3, time_window: 600, key_type: 'constant', key: 'c', window_type: 'sliding' },
  ],
  'limit-req': [{ rate: 0.001, burst: 0, key: 'remote_addr', rejected_code: 429, nodelay: true }],
  'traffic-split': [
    { rules: [{ match: [{ vars: VARS[0] }], weighted_upstreams: [{ upstream_id: 'two', weight: 1 }] }] },
  ],
  'fault-injection': [{ abort: { http_status: 418, body: 'teapot $remote_addr', vars: [VARS[1]] } }],
  'real-ip': [{ source: 'http_x_own_ip', trusted_addresses: ['127.0.0.0/8'] }],
  cors: [{ allow_origins: '*' }],
  'response-rewrite': [{ headers: { set: { 'X-R': 'r' } } }],
};

/** What answers at once is drawn less often: behind it nothing can be seen. */
const NAMES = [
  ...['key-auth', 'proxy-rewrite', 'limit-count', 'consumer-restriction', 'ip-restriction', 'traffic-split'],
  ...['key-auth', 'proxy-rewrite', 'limit-count', 'real-ip', 'cors', 'response-rewrite', 'limit-req'],
  ...['redirect', 'mocking', 'fault-injection'],
];

const REPLYING = ['key-auth', 'ip-restriction', 'consumer-restriction', 'limit-count', 'redirect', 'mocking'];

const binding = fc
  .constantFrom(...NAMES)
  .chain((name) =>
    fc
      .record({ config: fc.constantFrom(...CONFIGS[name]), meta })
      .map(({ config, meta }) => [name, meta === undefined ? config : { ...config, _meta: meta }] as const),
  );
const bindings = (maxLength: number) =>
  fc.array(binding, { maxLength }).map((list) => Object.fromEntries(list) as Value);

const upstream = fc
  .record({
    type: fc.constantFrom('roundrobin', 'chash'),
    passHost: fc.constantFrom('pass', 'node', 'rewrite'),
    port: fc.constantFrom(ONE, TWO),
  })
  .map(
    ({ type, passHost, port }): Value => ({
      ...(type === 'chash'
        ? { type, key: 'arg_v', nodes: { [`127.0.0.1:${ONE}`]: 1, [`127.0.0.1:${TWO}`]: 2 } }
        : { type, nodes: { [`127.0.0.1:${port}`]: 1 } }),
      pass_host: passHost,
      ...(passHost === 'rewrite' && { upstream_host: 'own.example' }),
    }),
  );

const destination = fc.oneof(
  { weight: 3, arbitrary: upstream.map((value): Value => ({ upstream: value })) },
  { weight: 2, arbitrary: fc.constant<Value>({ upstream_id: 'two' }) },
  { weight: 2, arbitrary: fc.constant<Value>({ service_id: 's' }) },
  { weight: 1, arbitrary: fc.constant<Value>({}) },
);

const present = <T>(arbitrary: fc.Arbitrary<T>, name: string) =>
  fc
    .option(arbitrary, { nil: undefined, freq: 2 })
    .map((value): Value => (value === undefined ? {} : { [name]: value }));

const route = fc
  .tuple(
    fc.record({
      uris: fc.subarray(['/*', '/a/*', '/a/:id', '/a/b', '/b/*', '/'], { minLength: 1, maxLength: 2 }),
      plugins: bindings(3),
    }),
    present(fc.subarray(['a.example', '*.example', 'b.a.example'], { minLength: 1 }), 'hosts'),
    present(fc.subarray(['GET', 'POST', 'HEAD'], { minLength: 1 }), 'methods'),
    present(fc.constantFrom(...VARS), 'vars'),
    present(fc.integer({ min: 1, max: 2 }), 'priority'),
    present(fc.constantFrom(['127.0.0.0/8'], ['10.0.0.0/8']), 'remote_addrs'),
    fc.constantFrom<Value>({}, {}, { plugin_config_id: 'p' }),
    destination,
  )
  .map((parts): Value => Object.assign({}, ...parts));

interface Drawn {
  readonly resources: readonly WrittenResource[];
  readonly trusting: boolean;
}

const drawn: fc.Arbitrary<Drawn> = fc
  .record({
    routes: fc.array(route, { minLength: 1, maxLength: 5 }),
    service: fc.record({ plugins: bindings(2), upstream }),
    pluginConfig: bindings(2),
    globalRules: fc.array(bindings(1), { maxLength: 2 }),
    jane: bindings(2),
    gold: bindings(2),
    trusting: fc.boolean(),
  })
  .map(({ routes, service, pluginConfig, globalRules, jane, gold, trusting }) => {
    const own = ({ 'key-auth': _own, ...rest }: Value) => rest;
    const one = (kind: Kind, id: string, value: Value): WrittenResource => ({ kind, id, value });
    const resources = [
      one('upstreams', 'two', { type: 'roundrobin', nodes: { [`127.0.0.1:${TWO}`]: 1 } }),
      one('services', 's', service),
      one('plugin_configs', 'p', { plugins: pluginConfig }),
      one('consumer_groups', 'gold', { plugins: own(gold) }),
      one('consumers', 'jane', { username: 'jane', group_id: 'gold', plugins: own(jane) }),
      one('credentials', 'jane/c1', { plugins: { 'key-auth': { key: 'jane-key' } } }),
      one('consumers', 'jack', { username: 'jack', plugins: { 'key-auth': { key: 'jack-key' } } }),
      one('consumers', 'guest', { username: 'guest' }),
      ...globalRules.map((value, index) => one('global_rules', `g${index}`, { plugins: value })),
      ...routes.map((value, index) => one('routes', `r${index}`, value)),
    ];
    return { resources, trusting };
  });

/** Mostly one of the first, now and then one of the others. */
const often = (usual: readonly string[], rare: readonly string[]) =>
  fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) },
  );

const request: fc.Arbitrary<EvaluationRequest> = fc
  .record({
    method: often(['GET', 'POST', 'GET', 'HEAD', 'DELETE'], ['get', 'CONNECT']),
    host: often(['a.example', 'b.a.example', 'other', 'A.Example', 'x.example:8080'], ['', 'bad host']),
    path: often(
      ['/', '/a/b', '/a/c', '/b/x', '/a//b', '/a/../b/%78', '/a/%2fq', ''],
      ['/%zz', '/q', '/a/%2e%2e/%00'],
    ),
    query: fc.constantFrom('', '?v=1', '?v=2&f=1', '?f=1&apikey=jane-key', '?v=1&x=%20'),
    fields: fc.subarray<readonly [string, string]>([
      ['apikey', 'jane-key'],
      ['apikey', 'jack-key'],
      ['apikey', 'nobodys'],
      ['X-Own', 'jack-key'],
      ['X-T', 'quick'],
      ['X-T', 'slow'],
      ['X-Own-Ip', '10.9.9.9'],
      ['Origin', 'https://o.example'],
      ['Bad Name', 'x'],
    ]),
    drop: fc.integer({ min: 0, max: 40 }),
    address: fc.option(fc.constantFrom(...ADDRESSES), { nil: undefined }),
    body: fc.option(fc.constantFrom('', 'abc'), { nil: undefined }),
  })
  .map(({ method, host, path, query, fields, drop, address, body }) => ({
    method,
    url: host === '' ? `${path || '/'}${query}` : `http://${host}${path}${query}`,
    headers: [
      ...fields.filter(([name]) => name !== 'Bad Name' || drop === 0),
      ...(address === undefined ? [] : [['X-Forwarded-For', address] as const]),
      ['Connection', 'close'] as const,
    ],
    ...(body !== undefined && method === 'POST' && { body }),
  }));

// The real thing.

const state = new SharedState(allocateSharedState({ workers: 1 }));
const log = { error() {}, warn() {}, info() {}, debug() {} };
const never = deadlinesOf(0);

interface Answer {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

async function ask(port: number, bytes: Uint8Array): Promise<Answer> {
  const socket = net.connect(port, '127.0.0.1');
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.write(bytes);
  await once(socket, 'close');
  const text = Buffer.concat(pieces).latin1Slice();
  const end = text.indexOf('\r\n\r\n');
  const [line, ...fields] = text.slice(0, end).split('\r\n');
  return {
    status: Number(line.split(' ')[1]),
    fields: fields.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon), field.slice(colon + 1).trim()] as const;
    }),
    body: text.slice(end + 4),
  };
}

async function withGateway(
  { resources, trusting }: Drawn,
  use: (port: number, evaluate: (request: EvaluationRequest) => Promise<Explanation>) => Promise<void>,
): Promise<void> {
  const configuration = await createConfiguration(plugins, randomBytes(32));
  const replaced = configuration.replace(resources);
  assert.ok(replaced.ok, JSON.stringify(replaced));
  configuration.commit(replaced.change);
  const { snapshot } = configuration;
  const defaults = defaultSettings();
  const { client } = defaults;
  const pools = new Pools({ tls: () => tls, http2: () => http2 });
  const runtime = new Runtime(snapshot, {
    plugins,
    limits: state.limits,
    breakers: state.breakers,
    shared: state.shared,
    log,
    clock: { now: Date.now, monotonic },
    random: Math.random,
    delay: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
    send: sendOwnRequest,
    gauge: () => {},
    withDefaults: (schema, config) => withDefaults(schema, config) as Value,
    pools,
    resolver: { addresses: () => undefined, resolve: () => Promise.resolve([]), watch: () => () => {} },
    createBalancer: balancersOn(
      new BalancerState({ ticket: () => ({ next: () => 0 }), now: monotonic, random: Math.random }),
    ),
  });
  const dataPlane = new DataPlane(runtime, {
    limits: {
      maxTarget: client.max_uri_bytes,
      maxFields: client.max_headers,
      maxHeadBytes: client.max_header_bytes,
      maxBodyBytes: 0,
      maxRequests: 1000,
      head: never,
      body: never,
      idle: never,
      send: never,
    },
    trusted: trusting ? new IpSet(['127.0.0.1']) : undefined,
    sink: undefined,
    log,
    maxCollectedBytes: defaults.max_collected_bytes,
  });
  const server = await dataPlane.listen(resolveListener({ address: '127.0.0.1:0' }));
  const { port } = server.address() as net.AddressInfo;
  const settings: Settings = {
    ...defaults,
    listeners: [{ address: `127.0.0.1:${port}` }],
    trusted_addresses: trusting ? ['127.0.0.1'] : [],
  };
  const evaluator = createEvaluator(snapshot, plugins, settings, state);
  try {
    await use(port, (request) => evaluator.evaluate(request));
  } finally {
    await dataPlane.drain(0);
    runtime.dispose();
    evaluator.dispose();
    pools.close();
  }
}

/** Fields that no two moments agree on. */
const FLEETING = new Set(['x-ratelimit-reset', 'retry-after']);
const stable = (fields: readonly (readonly [string, string])[]) =>
  fields.filter(([name]) => !FLEETING.has(name.toLowerCase()));

const kinds = new Map<string, number>();

async function compare(port: number, request: EvaluationRequest, explanation: Explanation): Promise<void> {
  seen.length = 0;
  const answer = await ask(port, requestBytes(request).bytes);
  const { verdict } = explanation;
  const story = `${JSON.stringify(request)}\n${JSON.stringify(explanation, undefined, 1)}\n${JSON.stringify(answer)}`;
  const kind = verdict.type === 'forward' ? 'forward' : (verdict.by?.plugin ?? verdict.reason);
  kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const matched = explanation.candidates.filter(({ outcome }) => outcome === 'matched');
  assert.deepEqual(
    matched.map(({ route }) => route),
    explanation.route === null ? [] : [explanation.route.id],
    story,
  );
  if (matched.length > 0)
    assert.equal(
      explanation.candidates.find(({ outcome }) => outcome !== 'refused'),
      matched[0],
      story,
    );
  if (verdict.type === 'reply') {
    assert.equal(answer.status, verdict.status, story);
    assert.deepEqual(seen, [], story);
    const added = answer.fields.filter(
      ([name]) => !['date', 'server', 'connection', 'content-length'].includes(name.toLowerCase()),
    );
    assert.deepEqual(stable(added).sort(), stable(verdict.headers).sort(), story);
    if (request.method !== 'HEAD') assert.equal(answer.body, verdict.body, story);
    return;
  }
  assert.equal(answer.status, 200, story);
  assert.equal(seen.length, 1, story);
  const [line, ...fields] = seen[0].head.split('\r\n');
  assert.equal(`127.0.0.1:${seen[0].port}`, verdict.target, story);
  assert.equal(line.replaceAll('jane-key', '***'), verdict.request_line, story);
  assert.deepEqual(
    fields.map((field) => field.replace(/^(apikey): .*/i, '$1: ***')),
    verdict.headers.map(([name, value]) => `${name}: ${value}`),
    story,
  );
}

test('foretells what a data plane does, for whatever is configured and asked', async () => {
  const agrees = fc.asyncProperty(
    drawn,
    fc.array(request, { minLength: REQUESTS, maxLength: REQUESTS }),
    (one, requests) =>
      withGateway(one, async (port, evaluate) => {
        for (const request of requests) await compare(port, request, await evaluate(request));
      }),
  );
  const seed = process.env.SEED === undefined ? {} : { seed: Number(process.env.SEED) };
  await fc.assert(agrees, { numRuns: RUNS, ...seed });
  // It would be worth little if all were refused in the same way; some kinds are rare.
  const wanted = ['forward', 'no_route', 'no_upstream', 'bad_target', 'no_host', ...REPLYING];
  const missing = () => wanted.filter((kind) => !kinds.has(kind));
  for (let more = 4; more > 0 && missing().length > 0; more--) await fc.assert(agrees, { numRuns: RUNS });
  assert.deepEqual(missing(), [], JSON.stringify([...kinds]));
});
