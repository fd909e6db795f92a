import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluator } from './evaluator.fixture.ts';
import type { EvaluateOptions, Evaluator } from './evaluator.ts';
import type { EvaluationRequest, ExplainedStep, ForwardVerdict, ReplyVerdict } from './explanation.ts';

const upstream = { nodes: { '127.0.0.1:8080': 1 } };

async function forward(one: Evaluator, request: EvaluationRequest, options?: EvaluateOptions) {
  const explanation = await one.evaluate(request, options);
  assert.equal(explanation.verdict.type, 'forward', JSON.stringify(explanation.verdict));
  return { ...explanation, verdict: explanation.verdict as ForwardVerdict };
}

async function replied(one: Evaluator, request: EvaluationRequest, options?: EvaluateOptions) {
  const explanation = await one.evaluate(request, options);
  assert.equal(explanation.verdict.type, 'reply', JSON.stringify(explanation.verdict));
  return { ...explanation, verdict: explanation.verdict as ReplyVerdict };
}

const brief = ({ phase, plugin, place, outcome }: ExplainedStep) => `${phase} ${plugin} ${place} ${outcome}`;

test('tells where a request goes, and how it would arrive', async () => {
  const one = evaluator({
    routes: { r: { uri: '/a/*', upstream, plugins: { set: { path: '/b', headers: { 'X-Added': 'yes' } } } } },
  });
  const { verdict, revision, route, request } = await forward(one, {
    url: 'http://Example.com:81/a//x/../y?q=1',
    headers: [['Accept', '*/*']],
  });
  assert.equal(revision, 7);
  assert.equal(request.host, 'example.com');
  assert.equal(request.path, '/a/y');
  assert.deepEqual(route, { id: 'r', name: '', uri: '/a/*', service: null });
  assert.equal(verdict.request_line, 'GET /b?q=1 HTTP/1.1');
  assert.equal(verdict.target, '127.0.0.1:8080');
  assert.deepEqual(verdict.upstream, {
    id: '',
    key: 'routes/r',
    scheme: 'http',
    targets: ['127.0.0.1:8080'],
    unhealthy: [],
  });
  const fields = Object.fromEntries(verdict.headers);
  assert.equal(fields.Host, 'Example.com:81');
  assert.equal(fields.Accept, '*/*');
  assert.equal(fields['X-Added'], 'yes');
  assert.equal(fields['X-Real-IP'], '127.0.0.1');
  assert.equal(fields['X-Forwarded-Port'], '81');
});

test('says what each step changed', async () => {
  const one = evaluator({
    routes: { r: { uri: '/*', upstream, plugins: { set: { path: '/b', headers: { 'X-Api-Key': 'k' } } } } },
  });
  const { chain } = await forward(one, { url: 'http://h/a' });
  assert.deepEqual(chain, [
    {
      phase: 'rewrite',
      plugin: 'set',
      priority: 500,
      place: 'routes/r',
      outcome: 'passed',
      changes: ['path: /a -> /b', 'header X-Api-Key: ***'],
    },
  ]);
});

test('keeps secrets to itself', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream } } });
  const explanation = await forward(one, {
    url: 'http://h/a?apikey=one&b=2&%61pikey=two&Access-Token=three',
    headers: [
      ['Authorization', 'Basic four'],
      ['Cookie', 'a=five'],
      ['X-API-KEY', 'six'],
      ['X-Acme-Token', 'seven'],
      ['X-Plain', 'eight'],
    ],
  });
  const text = JSON.stringify(explanation);
  for (const secret of ['one', 'two', 'three', 'four', 'five', 'six', 'seven'])
    assert.ok(!text.includes(secret), secret);
  assert.ok(text.includes('eight'));
  assert.equal(
    explanation.verdict.request_line,
    'GET /a?apikey=***&b=2&%61pikey=***&Access-Token=*** HTTP/1.1',
  );
});

test('names the predicate by which each better candidate lost', async () => {
  const one = evaluator({
    routes: {
      exact: { uri: '/a/b', methods: ['POST', 'PUT'], upstream },
      near: { uri: '/a/*', host: 'h', remote_addrs: ['10.0.0.0/8'], upstream },
      vars: {
        uri: '/a/*',
        priority: 9,
        vars: [
          ['arg_x', '==', '1'],
          ['arg_y', '==', '2'],
        ],
        upstream,
      },
      taken: { uri: '/a/*', priority: 5, upstream },
      behind: { uri: '/*', upstream },
      elsewhere: { uri: '/c', upstream },
    },
  });
  const { candidates, route } = await forward(one, { url: 'http://h/a/b?x=1' });
  assert.equal(route?.id, 'taken');
  assert.deepEqual(
    candidates.map(({ route, host, outcome, predicate, detail }) => [
      route,
      host,
      outcome,
      predicate,
      detail,
    ]),
    [
      ['near', 'h', 'refused', 'remote_addrs', '127.0.0.1 is not in 10.0.0.0/8'],
      ['exact', null, 'refused', 'methods', 'GET is not among POST, PUT'],
      ['vars', null, 'refused', 'vars', '["arg_y","==","2"] is not so'],
      ['taken', null, 'matched', undefined, undefined],
      ['behind', null, 'outranked', undefined, undefined],
    ],
  );
});

test('answers 404 where no Route matches, by the global rules', async () => {
  const one = evaluator({ global_rules: { g: { plugins: { marks: {} } } } });
  const { verdict, chain, candidates, route, log } = await replied(one, { url: 'http://h/' });
  assert.equal(verdict.status, 404);
  assert.equal(verdict.reason, 'no_route');
  assert.equal(verdict.by, null);
  assert.equal(verdict.body, '{"error_msg":"404 Route Not Found"}\n');
  assert.deepEqual(Object.fromEntries(verdict.headers)['X-Mark'], '1');
  assert.deepEqual(candidates, []);
  assert.equal(route, null);
  assert.deepEqual(chain.map(brief), [
    'responseHeaders marks global_rules/g passed',
    'log marks global_rules/g later',
  ]);
  assert.deepEqual(log, []);
});

test('recognises the caller and brings in what they brought', async () => {
  const one = evaluator({
    routes: { r: { uri: '/*', service_id: 's', plugin_config_id: 'p', plugins: { keyed: {} } } },
    services: { s: { upstream, plugins: { limited: { count: 5 }, dice: { _meta: { disable: true } } } } },
    plugin_configs: { p: { plugins: { marks: {} } } },
    consumer_groups: { gold: { plugins: { limited: { count: 9 } } } },
    consumers: { jane: { username: 'jane', group_id: 'gold', plugins: { set: { path: '/j' } } } },
    credentials: { 'jane/laptop': { plugins: { keyed: { key: 'k' } } } },
  });
  const { consumer, chain, buffers, route, verdict } = await forward(one, {
    url: 'http://h/x',
    headers: [['X-Key', 'k']],
  });
  assert.deepEqual(consumer, {
    username: 'jane',
    group: 'gold',
    credential: 'laptop',
    by: { plugin: 'keyed', place: 'routes/r' },
  });
  assert.deepEqual(chain.map(brief), [
    'rewrite keyed routes/r passed',
    'rewrite set consumers/jane passed',
    'access limited consumer_groups/gold passed',
    'responseHeaders marks plugin_configs/p later',
    'log marks plugin_configs/p later',
  ]);
  assert.deepEqual(buffers, { request: [{ plugin: 'marks', place: 'plugin_configs/p' }], response: [] });
  assert.equal(route?.service, 's');
  assert.equal(verdict.request_line, 'GET /j HTTP/1.1');
  assert.equal(Object.fromEntries(verdict.headers)['X-Consumer-Username'], 'jane');
});

test('refuses whom nobody recognised', async () => {
  const one = evaluator({
    routes: { r: { uri: '/*', upstream, plugins: { keyed: {}, limited: { count: 1 } } } },
  });
  const { verdict, chain, consumer } = await replied(one, { url: 'http://h/' });
  assert.equal(verdict.status, 401);
  assert.equal(verdict.by, null);
  assert.equal(consumer, null);
  assert.deepEqual(chain.map(brief), [
    'rewrite keyed routes/r passed',
    'access limited routes/r not_reached',
  ]);
});

test('names who replied and why, and what was not reached', async () => {
  const one = evaluator({
    routes: { r: { uri: '/*', upstream, plugins: { limited: { count: 0 }, dice: {}, marks: {} } } },
  });
  const { verdict, chain } = await replied(one, { url: 'http://h/' });
  assert.equal(verdict.status, 429);
  assert.deepEqual(verdict.by, { plugin: 'limited', place: 'routes/r' });
  assert.equal(verdict.body, '{"left":0}\n');
  assert.equal(chain[0].detail, '429 limited');
  assert.deepEqual(chain.map(brief), [
    'access limited routes/r replied',
    'access dice routes/r not_reached',
    'responseHeaders marks routes/r passed',
    'log marks routes/r later',
  ]);
});

test('says what _meta.filter decided', async () => {
  const filter = [['arg_x', '==', '1']];
  const one = evaluator({ routes: { r: { uri: '/*', upstream, plugins: { dice: { _meta: { filter } } } } } });
  const out = await forward(one, { url: 'http://h/' });
  assert.deepEqual([out.chain[0].filter, out.chain[0].outcome], [false, 'filtered']);
  const through = await replied(one, { url: 'http://h/?x=1' });
  assert.deepEqual([through.chain[0].filter, through.chain[0].outcome], [true, 'replied']);
});

test('counts nothing from one evaluation to the next', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream, plugins: { limited: { count: 1 } } } } });
  for (let i = 0; i < 3; i++) await forward(one, { url: 'http://h/' });
});

test('takes clock and chance from its inputs', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream, plugins: { dice: {} } } } });
  const body = async (options: EvaluateOptions) =>
    JSON.parse((await replied(one, { url: 'http://h/' }, options)).verdict.body);
  const first = await body({ now: 1_000, seed: 3 });
  assert.equal(first.now, 1_000);
  assert.equal(first.started, 1_000);
  assert.deepEqual(await body({ now: 1_000, seed: 3 }), first);
  assert.notEqual((await body({ now: 1_000, seed: 4 })).random, first.random);
  assert.equal((await body({})).now, 1_700_000_000_000);
});

test('lets evaluations that wait not see each other', async () => {
  const one = evaluator({
    routes: { r: { uri: '/*', upstream, plugins: { limited: { count: 1 }, dice: {} } } },
  });
  const times = await Promise.all([1, 2, 3].map((now) => replied(one, { url: 'http://h/' }, { now })));
  assert.deepEqual(
    times.map(({ verdict }) => JSON.parse(verdict.body).now),
    [1, 2, 3],
  );
});

test('tells of a Plugin that broke', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream, plugins: { broken: {}, marks: {} } } } });
  const { verdict, chain } = await replied(one, { url: 'http://h/' });
  assert.equal(verdict.status, 500);
  assert.deepEqual(verdict.by, { plugin: 'broken', place: 'routes/r' });
  assert.equal(verdict.detail, 'plugin broken failed: out of order');
  assert.deepEqual(chain.map(brief), [
    'access broken routes/r failed',
    'responseHeaders marks routes/r not_reached',
    'log marks routes/r later',
  ]);
});

test('tells why a Route without Upstream or Target answers 503', async () => {
  const one = evaluator({
    routes: { none: { uri: '/none' }, empty: { uri: '/empty', upstream: { nodes: {} } } },
  });
  assert.equal((await replied(one, { url: 'http://h/none' })).verdict.reason, 'no_upstream');
  const { verdict } = await replied(one, { url: 'http://h/empty' });
  assert.deepEqual([verdict.status, verdict.reason], [503, 'no_target']);
});

test('chooses the Target by the seed', async () => {
  const nodes = [1, 2].map((port) => ({ host: '127.0.0.1', port, weight: 1 }));
  const one = evaluator({ routes: { r: { uri: '/*', upstream: { nodes } } } });
  const target = async (seed: number) => (await forward(one, { url: 'http://h/' }, { seed })).verdict.target;
  assert.deepEqual(await Promise.all([0, 1, 0].map(target)), ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:1']);
});

test('believes only a trusted hop', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream } } });
  const headers = [
    ['X-Forwarded-For', '192.0.2.7'],
    ['X-Forwarded-Proto', 'https'],
  ] as const;
  const stranger = await forward(one, { url: 'http://h/', headers, client: '192.0.2.1' });
  assert.deepEqual([stranger.request.client_address, stranger.request.peer_trusted], ['192.0.2.1', false]);
  const hop = await forward(one, { url: 'http://h/', headers, client: '10.0.0.1' });
  assert.deepEqual([hop.request.client_address, hop.request.scheme], ['192.0.2.7', 'https']);
});

for (const [what, request, status, reason] of [
  ['a head without a host', { url: '/' }, 400, 'no_host'],
  [
    'two hosts',
    {
      url: '/',
      headers: [
        ['Host', 'a'],
        ['host', 'b'],
      ],
    },
    400,
    'many_hosts',
  ],
  ['a method that is none', { method: 'ge t', url: 'http://h/' }, 400, undefined],
  ['CONNECT', { method: 'CONNECT', url: 'http://h/' }, 405, 'method_not_allowed'],
  ['a target too long', { url: `http://h/${'a'.repeat(300)}` }, 414, 'target_too_long'],
  ['a head too large', { url: 'http://h/', headers: [['a', 'b'.repeat(9000)]] }, 431, 'head_too_large'],
  [
    'too many fields',
    { url: 'http://h/', headers: Array.from({ length: 30 }, () => ['a', 'b']) },
    431,
    'too_many_fields',
  ],
  ['a body too large', { method: 'POST', url: 'http://h/', body: 'a'.repeat(101) }, 413, 'body_too_large'],
  ['a broken escape', { url: 'http://h/%zz' }, 400, 'bad_target'],
] as unknown as [string, EvaluationRequest, number, string | undefined][]) {
  test(`gives the parser's verdict on ${what}`, async () => {
    const { verdict, route, chain } = await replied(
      evaluator({ routes: { r: { uri: '/*', upstream } } }),
      request,
    );
    assert.equal(verdict.status, status);
    if (reason !== undefined) assert.equal(verdict.reason, reason);
    assert.equal(route, null);
    assert.deepEqual(chain, []);
  });
}

test('names the first listener where the URL names none', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream } } });
  const { verdict } = await forward(one, { url: 'http://h:8443/' });
  assert.equal(Object.fromEntries(verdict.headers)['X-Forwarded-Port'], '9080');
});

test('carries a body of a length', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream } } });
  const { verdict } = await forward(one, { method: 'POST', url: 'http://h/', body: 'äb' });
  assert.equal(Object.fromEntries(verdict.headers)['Content-Length'], '3');
});

test('refuses what no client could send', async () => {
  const one = evaluator({ routes: { r: { uri: '/*', upstream } } });
  await assert.rejects(one.evaluate({ url: 'http://h/', headers: [['a', 'b\r\nc: d']] }), TypeError);
  await assert.rejects(one.evaluate({ url: 'ftp://h/' }), TypeError);
  await assert.rejects(one.evaluate({ url: 'http://u:p@h/' }), TypeError);
  await forward(one, { url: 'http://h/' });
});
