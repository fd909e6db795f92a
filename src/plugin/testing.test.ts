import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from '../lib/schema.ts';
import { definePlugin, type Handlers } from './define-plugin.ts';
import type { Kit } from './kit.ts';
import { reply } from './reply.ts';
import { bind, checkConfig, ManualClock, run } from './testing.ts';

function plugin(create: (config: { readonly text: string }, kit: Kit) => Handlers) {
  return definePlugin({
    name: 'sample',
    summary: 'A Plugin for the tests of the test kit.',
    priority: 1,
    config: Type.Object({ text: Type.String({ default: 'default text' }) }),
    check: (config) => (config.text === 'bad' ? 'text is bad' : undefined),
    create,
  });
}

test('fills in defaults and runs the phases in order', async () => {
  const phases: string[] = [];
  const { response, log } = await run(
    plugin((config, kit) => ({
      rewrite: () => void phases.push('rewrite'),
      access: async () => void phases.push('access'),
      beforeProxy: () => void phases.push('beforeProxy'),
      responseHeaders: (exchange) => {
        phases.push('responseHeaders');
        exchange.response.setHeader('X-Text', config.text);
      },
      log: (exchange) => {
        phases.push('log');
        kit.log.info('ended', { status: exchange.response.status });
      },
    })),
    {},
    {},
    { upstream: { status: 201, body: 'made' } },
  );
  assert.deepEqual(phases, ['rewrite', 'access', 'beforeProxy', 'responseHeaders', 'log']);
  assert.equal(response.headers['x-text'], 'default text');
  assert.equal(response.status, 201);
  assert.equal(response.body, 'made');
  assert.deepEqual(log, [{ level: 'info', message: 'ended', fields: { status: 201 } }]);
});

test('a Reply ends the request, and still runs the response phases and log', async () => {
  let logged = 0;
  let asked = false;
  const result = await run(
    plugin(() => ({
      rewrite: () => reply(403, { message: 'no' }, { headers: [['X-A', '1']] }),
      access: () => assert.fail('access ran after a Reply'),
      responseHeaders: (exchange) => exchange.response.addHeader('X-B', exchange.response.source),
      log: () => void logged++,
    })),
    {},
    {},
    {
      upstream: () => {
        asked = true;
        return {};
      },
    },
  );
  assert.equal(result.reply?.status, 403);
  assert.equal(result.response.body, '{"message":"no"}\n');
  assert.equal(result.response.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(result.response.headers['x-b'], 'gateway');
  assert.equal(logged, 1);
  assert.equal(asked, false);
});

test('shows the request as the Upstream sees it', async () => {
  const { request } = await run(
    plugin(() => ({
      access(exchange) {
        exchange.request.setHeader('X-Q', exchange.request.queryParameter('q') ?? 'none');
        exchange.request.removeHeader('x-secret');
        exchange.upstream.path = '/new';
        exchange.upstream.query = '';
        exchange.upstream.host = 'inner';
      },
    })),
    {},
    { target: '/old?q=a%20b', headers: { 'X-Secret': 's', 'X-Two': ['1', '2'] } },
  );
  assert.equal(request.path, '/new');
  assert.equal(request.query, '');
  assert.equal(request.host, 'inner');
  assert.equal(request.headers['x-secret'], undefined);
  assert.equal(request.headers['x-two'], '1, 2');
  assert.equal(request.headers['x-q'], 'a b');
});

test('answers variables by their usual names', async () => {
  const { variable } = await run(
    plugin(() => ({ rewrite: (exchange) => exchange.setVariable('mine', 'set') })),
    {},
    {
      method: 'PUT',
      host: 'Api.Example:8080',
      target: '/a?b=c',
      headers: { 'X-Forwarded-For': '1.1.1.1', Cookie: 'a=1; b=2' },
      clientAddress: '198.51.100.7',
    },
    { consumer: 'jane', routeId: 'r1' },
  );
  const expected = {
    http_x_forwarded_for: '1.1.1.1',
    arg_b: 'c',
    cookie_b: '2',
    remote_addr: '198.51.100.7',
    uri: '/a',
    request_uri: '/a?b=c',
    args: 'b=c',
    host: 'api.example',
    scheme: 'http',
    request_method: 'PUT',
    consumer_name: 'jane',
    route_id: 'r1',
    mine: 'set',
    nonsense: undefined,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(variable(name), value, name);
});

test('replaces a body that a Plugin needed whole', async () => {
  const shout = definePlugin({
    name: 'shout',
    summary: 'Writes a body in capitals.',
    priority: 1,
    config: Type.Object({}),
    needsBody: () => 'response',
    create: () => ({
      responseBody(exchange) {
        exchange.response.body = Buffer.from(Buffer.from(exchange.response.body).toString().toUpperCase());
      },
    }),
  });
  const { response } = await run(shout, {}, {}, { upstream: { body: 'quiet' } });
  assert.equal(response.body, 'QUIET');
});

test('refuses a body read by a Plugin that did not declare it', async () => {
  const reader = plugin(() => ({ access: (exchange) => void exchange.request.body }));
  await assert.rejects(run(reader, {}, { body: 'x' }), /needsBody/);
});

test('keeps state, clock and dice between the requests of one Binding', async () => {
  const clock = new ManualClock();
  const bound = bind(
    plugin((_config, kit) => ({
      async access() {
        await kit.delay(500);
        const { remaining } = await kit.limits.fixedWindow(kit.stateKey, 3, 1, 1);
        return reply(200, `${remaining} ${kit.random()}`);
      },
    })),
    {},
    { clock },
  );
  const first = await bound.request();
  const second = await bound.request();
  const third = await bound.request();
  assert.deepEqual(
    [first, second, third].map(({ response }) => response.body.split(' ')[0]),
    ['2', '1', '2'],
  );
  assert.notEqual(first.response.body.split(' ')[1], second.response.body.split(' ')[1]);
  assert.deepEqual(first.delays, [500]);
});

test('answers credentials and Consumers from lists', async () => {
  const auth = definePlugin({
    name: 'auth',
    summary: 'Recognises callers by X-Name.',
    priority: 1,
    config: Type.Object({}),
    credential: {
      config: Type.Object({ name: Type.String() }),
      identity: (config) => String(config.name),
      identityField: 'name',
    },
    create: (_config, kit) => ({
      rewrite(exchange) {
        const match = kit.credentials.find(exchange.request.header('x-name') ?? '');
        exchange.authenticate(match ?? kit.credentials.consumer('nobody')!);
      },
    }),
  });
  const options = {
    credentials: [
      { consumer: { username: 'jane', groupId: 'g' }, credentialId: 'c1', config: { name: 'j' } },
    ],
    consumers: ['nobody'],
  };
  const jane = await run(auth, {}, { headers: { 'X-Name': 'j' } }, options);
  assert.equal(jane.consumer?.groupId, 'g');
  assert.equal(jane.match?.credentialId, 'c1');
  const other = await run(auth, {}, {}, options);
  assert.equal(other.consumer?.username, 'nobody');
});

test('says what check complains of, and refuses to run such a config', () => {
  const sample = plugin(() => ({}));
  assert.equal(checkConfig(sample, { text: 'bad' }), 'text is bad');
  assert.equal(checkConfig(sample, {}), undefined);
  assert.throws(() => bind(sample, { text: 'bad' }), /sample refuses the config: text is bad/);
});

const forbidden: readonly (readonly [name: string, use: () => unknown])[] = [
  ['Date.now()', () => Date.now()],
  ['new Date()', () => new Date()],
  ['performance.now()', () => performance.now()],
  ['Math.random()', () => Math.random()],
  ['crypto.randomUUID()', () => crypto.randomUUID()],
  ['fetch()', () => fetch('http://127.0.0.1:1')],
  ['setTimeout()', () => setTimeout(() => {}, 1)],
];
for (const [name, use] of forbidden) {
  test(`fails a Plugin that calls ${name}, also after an await`, async () => {
    const message = (error: Error) => error.message.startsWith(`plugin sample called ${name}; use `);
    await assert.rejects(run(plugin(() => ({ access: () => void use() }))), message);
    const late = plugin(() => ({
      async access() {
        await Promise.resolve();
        use();
      },
    }));
    await assert.rejects(run(late), message);
    const early = plugin(() => {
      use();
      return {};
    });
    assert.throws(() => bind(early), message);
  });
}

test('leaves the globals to everyone else, during a run and after it', async () => {
  const { now } = Date;
  const { response } = await run(
    plugin(() => ({ access: () => void new Date(0) })),
    {},
    {},
    { upstream: () => ({ body: String(Date.now() > 0 && Math.random() < 1) }) },
  );
  assert.equal(response.body, 'true');
  assert.equal(Date.now, now);
});

test('refuses header values that could not be sent', async () => {
  const splitting = plugin(() => ({
    access: (exchange) => exchange.request.setHeader('X-A', 'a\r\nX-B: b'),
  }));
  await assert.rejects(run(splitting), /not a value that can be sent/);
});
