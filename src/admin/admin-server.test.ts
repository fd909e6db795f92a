import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { Type } from '../lib/schema.ts';
import { Configuration } from '../model/configuration.ts';
import { Sealing } from '../model/sealing.ts';
import { TestClock, testConfiguration } from '../model/testing.ts';
import { definePlugin, type Plugin } from '../plugin/define-plugin.ts';
import { ADMIN_KEY, MemoryStore, type RunningAdmin, runAdmin, VIEWER_KEY } from './testing.ts';

const nodes = { '127.0.0.1:80': 1 };
const route = { uri: '/x', upstream: { nodes } };
const error = (answer: { readonly body: Readonly<Record<string, unknown>> }) => answer.body.error_msg;

describe('who may ask', () => {
  test('is told by header, query or cookie, and a viewer may only read', async () => {
    await using running = await runAdmin();
    const status = async (method: string, path: string, headers: Record<string, string>) =>
      (await running.ask(method, path, method === 'PUT' ? route : undefined, headers)).status;
    assert.equal(await status('GET', `/apisix/admin/routes?api_key=${ADMIN_KEY}`, {}), 200);
    assert.equal(await status('GET', '/apisix/admin/routes', { Cookie: `a=b; x_api_key=${ADMIN_KEY}` }), 200);
    assert.equal(await status('GET', '/apisix/admin/routes', { 'X-API-KEY': VIEWER_KEY }), 200);
    assert.equal(await status('PUT', '/apisix/admin/routes/1', { 'X-API-KEY': VIEWER_KEY }), 401);
    const refused = await running.ask('DELETE', '/apisix/admin/routes/1', undefined, {
      'X-API-KEY': VIEWER_KEY,
    });
    assert.equal(refused.body.description, 'invalid method for role viewer');
    assert.equal(running.configuration.revision, 0);
  });

  test('is not told by the cookie of a page from elsewhere', async () => {
    await using running = await runAdmin();
    const headers = { Cookie: `x_api_key=${ADMIN_KEY}`, 'Sec-Fetch-Site': 'cross-site' };
    assert.equal((await running.ask('GET', '/apisix/admin/routes', undefined, headers)).status, 401);
  });

  test('must call the place by its name, so that a rebound name is refused', async () => {
    await using running = await runAdmin({ hostNames: ['gateway.example'] });
    for (const [Host, status] of [
      ['evil.example', 421],
      ['127.0.0.1.evil.example:9180', 421],
      ['localhost:9180', 200],
      ['Gateway.Example', 200],
      ['[::1]:9180', 200],
      ['10.0.0.1', 200],
    ] as const) {
      const answer = await running.ask('GET', '/apisix/admin/routes', undefined, {
        Host,
        'X-API-KEY': ADMIN_KEY,
      });
      assert.equal(answer.status, status, Host);
    }
  });

  test('must come from an allowed address', async () => {
    await using running = await runAdmin({ allow: ['10.0.0.0/8'] });
    const answer = await running.ask('GET', '/apisix/admin/routes');
    assert.equal(answer.status, 403);
    assert.doesNotMatch(answer.text, /list/);
  });

  test('can not be nobody: a server without a key is not made', async () => {
    await assert.rejects(runAdmin({ keys: [] }), /at least one key/);
    await assert.rejects(runAdmin({ keys: [{ name: 'a', key: '', role: 'admin' }] }), /none may be empty/);
  });

  test('gets 200 to HEAD /apisix/admin', async () => {
    await using running = await runAdmin();
    assert.equal((await running.ask('HEAD', '/apisix/admin', undefined, {})).status, 200);
  });
});

describe('what is wrong with a request', () => {
  const cases: [method: string, path: string, sent: unknown, status: number, expected: string | RegExp][] = [
    [
      'PUT',
      '/apisix/admin/routes/1',
      { ...route, create_time: 1 },
      400,
      'the property is forbidden:  create_time',
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { uri: '/', upstream: { nodes, update_time: 1 } },
      400,
      'the property is forbidden:  upstream.update_time',
    ],
    ['PUT', '/apisix/admin/routes/1?ttl=soon', route, 400, 'invalid argument ttl: should be a number'],
    ['PUT', '/apisix/admin/routes/1?ttl=-1', route, 400, 'invalid argument ttl: should be a number'],
    ['POST', '/apisix/admin/routes', { ...route, id: '1' }, 400, 'wrong route id, do not need it'],
    ['POST', '/apisix/admin/routes/1', route, 400, 'wrong route id, do not need it'],
    ['POST', '/apisix/admin/consumers', { username: 'x' }, 405, 'not supported `POST` method for consumer'],
    ['POST', '/apisix/admin/consumers/x/credentials', {}, 405, 'not supported `POST` method for credential'],
    ['POST', '/apisix/admin/global_rules', {}, 405, 'not supported `POST` method for global rule'],
    ['PATCH', '/apisix/admin/consumers/x', {}, 405, 'not supported `PATCH` method for consumer'],
    ['PATCH', '/apisix/admin/protos/x', {}, 405, 'not supported `PATCH` method for proto'],
    ['PATCH', '/apisix/admin/routes', {}, 400, 'missing route id'],
    ['PATCH', '/apisix/admin/routes/1', undefined, 400, 'missing new configuration'],
    ['PATCH', '/apisix/admin/routes/1', [1], 400, 'invalid configuration'],
    ['DELETE', '/apisix/admin/upstreams', undefined, 400, 'missing upstream id'],
    ['PUT', '/apisix/admin/plugins/key-auth', {}, 404, 'not found'],
    ['GET', '/apisix/admin/credentials', undefined, 404, 'Unsupported resource type: credentials'],
    ['GET', '/apisix/admin/constructor', undefined, 404, 'Unsupported resource type: constructor'],
    ['PUT', '/apisix/admin/consumers/a', { username: 'b' }, 400, 'wrong username'],
    ['PUT', '/apisix/admin/consumers/ghost/credentials/1', { plugins: {} }, 404, 'consumer not found'],
    ['PUT', '/apisix/admin/secrets/nobody/1', {}, 400, 'invalid secret manager: nobody'],
    ['PUT', '/apisix/admin/plugin_metadata/nope', {}, 400, 'invalid plugin name'],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { ...route, host: 'a', hosts: ['b'] },
      400,
      'only one of host or hosts is allowed',
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { ...route, uris: ['/y'] },
      400,
      'invalid configuration: allOf 1 failed: value should match only one schema, but matches both schemas 1 and 2',
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { ...route, labels: { a: 'b c' } },
      400,
      /^invalid configuration: property "labels" validation failed: failed to validate a \(matching "\.\*"\): failed to match pattern/,
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { ...route, timeout: { connect: 0, send: 1, read: 1 } },
      400,
      'invalid configuration: property "timeout" validation failed: property "connect" validation failed: expected 0 to be greater than 0',
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { uri: '/', plugins: { 'key-auth': 'hunter2' } },
      400,
      'invalid plugin conf "…" for plugin [key-auth]',
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { uri: '/', plugins: { 'key-auth': { _meta: { pre_function: 'return' } } } },
      400,
      /Lua and not supported/,
    ],
    [
      'PUT',
      '/apisix/admin/routes/1',
      { uri: '/', script: 'return 1 + 1' },
      400,
      'script is Lua and not supported; use plugins',
    ],
    ['PUT', '/apisix/admin/upstreams/1', { nodes, type: 'chash' }, 400, 'missing key'],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      { nodes: { 'h:99999': 1 } },
      400,
      'invalid configuration: invalid node address h:99999',
    ],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      { nodes, pass_host: 'rewrite' },
      400,
      "`upstream_host` can't be empty when `pass_host` is `rewrite`",
    ],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      'null',
      400,
      'invalid configuration: wrong type: expected object, got userdata',
    ],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      '{"nodes":{},}',
      400,
      'invalid request body: Expected object key string but found T_OBJ_END at character 13',
    ],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      '['.repeat(100_000),
      400,
      /^invalid request body: Found too many nested data structures \(1001\)/,
    ],
    ['PUT', '/apisix/admin/upstreams/1', '\ud800'.padEnd(3), 400, /^invalid request body: /],
    ['PUT', '/apisix/admin/upstreams/%zz', { nodes }, 400, 'invalid path'],
    [
      'PUT',
      '/apisix/admin/ssls/1',
      { sni: 'a.example', cert: 'x'.repeat(128), key: 'y'.repeat(64) },
      400,
      'failed to parse cert: not a certificate in PEM form',
    ],
    [
      'PUT',
      '/apisix/admin/upstreams/1',
      'x'.repeat(1_678_025),
      400,
      'invalid request body: request size 1678025 is greater than the maximum size 1572864 allowed',
    ],
    ['GET', '/apisix/admin/schema/nope', undefined, 400, 'not found schema: nope'],
    ['POST', '/apisix/admin/schema/validate/nope', {}, 404, 'Unsupported resource type: nope'],
    ['GET', '/apisix/admin/plugins/list?subsystem=x', undefined, 400, 'invalid subsystem passed'],
  ];
  test('is said, and changes nothing', async () => {
    await using running = await runAdmin();
    for (const [method, path, sent, status, expected] of cases) {
      const answer = await running.ask(method, path, sent);
      const what = `${method} ${path}: ${answer.text.slice(0, 300)}`;
      assert.equal(answer.status, status, what);
      if (typeof expected === 'string') assert.equal(error(answer), expected);
      else assert.match(String(error(answer)), expected);
      assert.doesNotMatch(answer.text, /hunter2/);
    }
    assert.equal(running.configuration.revision, 0);
    assert.deepEqual(running.store.written, []);
    assert.deepEqual(running.logged, []);
  });

  test('does not break the server when the client goes away inside a body', async () => {
    await using running = await runAdmin();
    const socket = connect((running.admin.server.address() as AddressInfo).port, '127.0.0.1');
    socket.write(
      `PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: localhost\r\nX-API-KEY: ${ADMIN_KEY}\r\nContent-Length: 100\r\n\r\n{`,
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    assert.equal((await running.ask('GET', '/apisix/admin/routes')).status, 200);
  });
});

describe('a write', () => {
  test('is answered when it is durable and broadcast, not before', async () => {
    await using running = await runAdmin();
    let open = () => {};
    running.store.gate = new Promise((resolve) => (open = resolve));
    const answer = running.ask('PUT', '/apisix/admin/routes/1', route);
    const first = await Promise.race([
      answer,
      new Promise((resolve) => setTimeout(resolve, 40, 'nothing yet')),
    ]);
    assert.equal(first, 'nothing yet');
    assert.equal((await running.ask('GET', '/apisix/admin/routes/1')).status, 404);
    open();
    assert.equal((await answer).status, 201);
    assert.deepEqual(
      running.broadcasts.map(({ revision }) => revision),
      [1],
    );
  });

  test('that the Store refuses is 503 and has not happened', async () => {
    await using running = await runAdmin();
    running.store.failure = new Error('disk full');
    const answer = await running.ask('PUT', '/apisix/admin/routes/1', route);
    assert.equal(answer.status, 503);
    assert.equal(running.configuration.revision, 0);
    assert.deepEqual(running.broadcasts, []);
    assert.match(running.logged.join(), /disk full/);
    running.store.failure = undefined;
    assert.equal((await running.ask('PUT', '/apisix/admin/routes/1', route)).status, 201);
  });

  test('goes with those that wait beside it, none lost and each in its turn', async () => {
    await using running = await runAdmin();
    await running.ask('PUT', '/apisix/admin/routes/1', route);
    running.store.gate = new Promise((resolve) => setTimeout(resolve, 50));
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        running.ask('PATCH', '/apisix/admin/routes/1', { labels: { [`l${index}`]: 'x' } }),
      ),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    const { value } = (await running.ask('GET', '/apisix/admin/routes/1')).body as {
      value: { labels: object };
    };
    assert.equal(Object.keys(value.labels).length, 40);
    assert.equal(running.configuration.revision, 41);
    assert.ok(running.store.written.length < 20, 'the Store is asked once for several');
  });

  test('takes the same secret back sealed, and shows it nowhere', async () => {
    await using running = await runAdmin();
    const secret = 'correct-horse-battery';
    const answers = [
      await running.ask('PUT', '/apisix/admin/consumers', {
        username: 'a',
        plugins: { 'key-auth': { key: secret } },
      }),
      await running.ask('PUT', '/apisix/admin/secrets/vault/1', {
        uri: 'https://v.example',
        prefix: 'kv',
        token: secret,
      }),
      await running.ask('PUT', '/apisix/admin/plugin_metadata/proxy-rewrite', { token: secret }),
      await running.ask('PUT', '/apisix/admin/routes/1', {
        uri: '/',
        plugins: { 'limit-count': { count: 1, time_window: 1, redis_password: secret } },
      }),
      await running.ask('GET', '/apisix/admin/consumers'),
      await running.ask('GET', '/apisix/admin/secrets/vault/1'),
      await running.ask('GET', '/apisix/admin/plugin_metadata/proxy-rewrite'),
      await running.ask('GET', '/apisix/admin/routes/1/effective'),
      await running.ask('PATCH', '/apisix/admin/secrets/vault/1', { prefix: 'other' }),
      await running.ask('PATCH', '/apisix/admin/secrets/vault/1/namespace', '"ns"'),
    ];
    for (const { status, text } of answers) {
      assert.ok(status === 200 || status === 201, text);
      assert.doesNotMatch(text, new RegExp(secret));
    }
    assert.doesNotMatch(JSON.stringify(running.store.written), new RegExp(secret));
    const { value } = (await running.ask('GET', '/apisix/admin/consumers/a')).body as {
      value: { plugins: object };
    };
    assert.equal(
      (await running.ask('PUT', '/apisix/admin/consumers', { username: 'a', plugins: value.plugins })).status,
      200,
    );
    assert.deepEqual(running.configuration.snapshot.get('consumers', 'a')?.value.plugins, {
      'key-auth': { key: secret },
    });
    assert.equal(running.configuration.snapshot.get('secrets', 'vault/1')?.value.token, secret);
  });

  test('with a time to live disappears by itself', async () => {
    const clock = new TestClock();
    const configuration = testConfiguration(clock);
    await using running = await runAdmin({ configuration });
    await running.ask('PUT', '/apisix/admin/upstreams/1?ttl=0.03', { nodes });
    clock.advance(60);
    await new Promise((resolve) => setTimeout(resolve, 80));
    assert.equal((await running.ask('GET', '/apisix/admin/upstreams/1')).status, 404);
    assert.deepEqual(running.broadcasts.at(-1)?.removals, [{ kind: 'upstreams', id: '1' }]);
  });
});

describe('a list', () => {
  async function filled(): Promise<RunningAdmin> {
    const running = await runAdmin();
    await running.ask('PUT', '/apisix/admin/services/s', {});
    for (let index = 0; index < 25; index++) {
      const more = index % 2 === 0 ? { service_id: 's', labels: { even: 'yes' } } : { name: `odd-${index}` };
      await running.ask('PUT', `/apisix/admin/routes/r${index}`, { ...route, uri: `/${index}/a`, ...more });
    }
    return running;
  }
  const ids = (answer: { readonly body: Readonly<Record<string, unknown>> }) =>
    (answer.body.list as { value: { id: string } }[]).map(({ value }) => value.id);

  test('is paged in order of creation, with the total before paging', async () => {
    await using running = await filled();
    const page = await running.ask('GET', '/apisix/admin/routes?page=3&page_size=10');
    assert.deepEqual(ids(page), ['r20', 'r21', 'r22', 'r23', 'r24']);
    assert.equal(page.body.total, 25);
    assert.equal(ids(await running.ask('GET', '/apisix/admin/routes?page=2')).length, 25);
    assert.equal(
      (await running.ask('GET', '/apisix/admin/routes?page=1&page_size=501')).text,
      'page_size must be between 10 and 500',
    );
  });

  test('is filtered by name, uri, label and reference, all at once', async () => {
    await using running = await filled();
    const found = async (query: string) => ids(await running.ask('GET', `/apisix/admin/routes?${query}`));
    assert.deepEqual(await found('name=odd-1%24'), ['r1']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/'), ['r20', 'r21', 'r22', 'r23']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/&label=even'), ['r20', 'r22']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/&filter=service_id%3Ds'), ['r20', 'r22']);
    assert.deepEqual(await found('uri=(unclosed'), []);
  });

  test('is not stopped by a pattern that explodes', async () => {
    await using running = await runAdmin();
    await running.ask('PUT', '/apisix/admin/routes/1', { ...route, name: 'a'.repeat(200) });
    assert.deepEqual(
      ids(await running.ask('GET', `/apisix/admin/routes?name=${encodeURIComponent('^(a+)+b$')}`)),
      [],
    );
  });

  test('of Credentials is that of one Consumer', async () => {
    await using running = await runAdmin();
    for (const username of ['a', 'ab']) {
      await running.ask('PUT', '/apisix/admin/consumers', { username });
      await running.ask('PUT', `/apisix/admin/consumers/${username}/credentials/1`, {
        plugins: { 'key-auth': { key: username } },
      });
    }
    const list = await running.ask('GET', '/apisix/admin/consumers/a/credentials');
    assert.equal(list.body.total, 1);
    assert.equal((await running.ask('GET', '/apisix/admin/consumers/nobody/credentials')).status, 404);
    assert.equal((await running.ask('GET', '/apisix/admin/consumers')).body.total, 2);
  });
});

test('a deletion is forced only when asked to be', async () => {
  await using running = await runAdmin();
  await running.ask('PUT', '/apisix/admin/upstreams/1', { nodes });
  await running.ask('PUT', '/apisix/admin/routes/1', { uri: '/', upstream_id: 1 });
  const refused = await running.ask('DELETE', '/apisix/admin/upstreams/1?force=1');
  assert.equal(error(refused), 'can not delete this upstream, route [1] is still using it now');
  assert.equal((await running.ask('DELETE', '/apisix/admin/upstreams/1?force=true')).status, 200);
});

test('the effective view shows the winner of each Plugin, where it came from, and the order', async () => {
  await using running = await runAdmin();
  const limit = (count: number) => ({ 'limit-count': { count, time_window: 1 } });
  await running.ask('PUT', '/apisix/admin/services/s', { plugins: { ...limit(1), 'proxy-rewrite': {} } });
  await running.ask('PUT', '/apisix/admin/plugin_configs/p', { plugins: { ...limit(2), 'key-auth': {} } });
  await running.ask('PUT', '/apisix/admin/consumer_groups/g', { plugins: limit(4) });
  await running.ask('PUT', '/apisix/admin/consumers', {
    username: 'c',
    group_id: 'g',
    plugins: { 'key-auth': { key: 'k' } },
  });
  await running.ask('PUT', '/apisix/admin/global_rules/1', { plugins: { 'proxy-rewrite': {} } });
  await running.ask('PUT', '/apisix/admin/routes/1', {
    uri: '/',
    service_id: 's',
    plugin_config_id: 'p',
    plugins: { 'proxy-rewrite': { _meta: { disable: true } } },
  });
  const shown = async (query: string) => {
    const { body } = await running.ask('GET', `/apisix/admin/routes/1/effective${query}`);
    return (body.bindings as { plugin: string; priority: number; place: { kind: string } }[]).map(
      ({ plugin, priority, place }) => [plugin, priority, place.kind],
    );
  };
  assert.deepEqual(await shown(''), [
    ['key-auth', 2500, 'plugin_configs'],
    ['limit-count', 1002, 'plugin_configs'],
  ]);
  assert.deepEqual(await shown('?consumer=c'), [
    ['key-auth', 2500, 'plugin_configs'],
    ['limit-count', 1002, 'consumer_groups'],
  ]);
  assert.equal((await running.ask('GET', '/apisix/admin/routes/1/effective?consumer=x')).status, 404);
});

test('Plugins are listed by priority, and their schemas have _meta and the mark', async () => {
  await using running = await runAdmin();
  assert.equal(
    (await running.ask('GET', '/apisix/admin/plugins/list')).text,
    '["key-auth","proxy-rewrite","limit-count","traffic-split"]\n',
  );
  const schema = (await running.ask('GET', '/apisix/admin/plugins/limit-count')).body;
  assert.equal(schema.$comment, 'this is a mark for our injected plugin schema');
  assert.deepEqual(Object.keys((schema.properties as { _meta: { properties: object } })._meta.properties), [
    'disable',
    'error_response',
    'priority',
    'filter',
    'pre_function',
  ]);
  assert.deepEqual((await running.ask('GET', '/apisix/admin/schema/plugins/limit-count')).body, schema);
  const consumer = (await running.ask('GET', '/apisix/admin/plugins/key-auth?schema_type=consumer')).body;
  assert.deepEqual(consumer.required, ['key']);
  assert.equal((await running.ask('PUT', '/apisix/admin/plugins/reload')).text, 'done');
  assert.ok('uri' in ((await running.ask('GET', '/apisix/admin/schema/route')).body.properties as object));
});

describe('a whole configuration', () => {
  test('is validated as JSON or YAML, with every error in its place', async () => {
    await using running = await runAdmin();
    const path = '/apisix/admin/configs/validate';
    const good = await running.ask('POST', path, { routes: [{ id: 1, ...route, service_id: 'elsewhere' }] });
    assert.deepEqual([good.status, good.text], [200, '{}\n']);
    const bad = await running.ask(
      'POST',
      path,
      'routes:\n  - id: a\n    uri: 1\n  - id: a\n    uri: /\n    plugins: {}\nconsumers:\n  - id: x/credentials/1\n    plugins: {limit-count: {count: 1, time_window: 1}}\n',
      { 'X-API-KEY': ADMIN_KEY, 'Content-Type': 'application/yaml' },
    );
    assert.equal(bad.status, 400);
    assert.deepEqual(bad.body, {
      error_msg: 'Configuration validation failed',
      errors: [
        {
          resource_type: 'routes',
          resource_id: 'a',
          index: 0,
          error:
            'invalid routes at index 0, err: invalid configuration: property "uri" validation failed: wrong type: expected string, got number',
        },
        { resource_type: 'routes', resource_id: 'a', index: 1, error: 'found duplicate id a in routes' },
        {
          resource_type: 'consumers',
          resource_id: 'x/credentials/1',
          index: 0,
          error: 'invalid consumers at index 0, err: only supports auth type plugins in consumer credential',
        },
      ],
    });
    assert.equal(error(await running.ask('POST', path, '')), 'invalid request body: empty request body');
  });
});

test('the OpenAPI document names every resource, and every reference in it leads somewhere', async () => {
  await using running = await runAdmin();
  const { body: document, text } = await running.ask('GET', '/apisix/admin/openapi.json');
  assert.equal(document.openapi, '3.1.0');
  const paths = document.paths as Record<string, Record<string, unknown>>;
  assert.ok('patch' in paths['/apisix/admin/routes/{id}']);
  assert.ok(!('post' in paths['/apisix/admin/consumers']));
  assert.ok('put' in paths['/apisix/admin/consumers/{username}/credentials/{id}']);
  assert.ok('/apisix/admin/routes/{id}/effective' in paths);
  for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = reference
      .split('/')
      .reduce<unknown>((place, step) => (place as Record<string, unknown>)?.[step], document);
    assert.ok(found !== undefined, reference);
  }
  assert.match(text, /"x-secret":true/);
});

test('a request to an extension reaches it, and only with a key', async () => {
  await using running = await runAdmin({
    store: new MemoryStore(),
    extensions: { explain: ({ method, segments }) => ({ status: 200, body: { method, segments } }) },
  });
  assert.deepEqual((await running.ask('POST', '/apisix/admin/explain/a')).body, {
    method: 'POST',
    segments: ['a'],
  });
  assert.equal((await running.ask('POST', '/apisix/admin/explain/a', undefined, {})).status, 401);
});

test('a Plugin as its authors define it can be configured', async () => {
  const plugin: Plugin = definePlugin({
    name: 'mine',
    summary: 'Mine.',
    priority: 1,
    config: Type.Object({ size: Type.Integer({ default: 1 }) }),
    check: ({ size }) => (size > 9 ? 'too big' : undefined),
    create: () => ({}),
  });
  const configuration = new Configuration({ plugins: [plugin], sealing: Sealing.ephemeral() });
  await using running = await runAdmin({ configuration });
  const put = (config: unknown) =>
    running.ask('PUT', '/apisix/admin/global_rules/1', { plugins: { mine: config } });
  assert.equal((await put({})).status, 201);
  assert.equal(
    error(await put({ size: 10 })),
    'failed to check the configuration of plugin mine err: too big',
  );
});
