import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { Type } from '../lib/schema.ts';
import { Configuration } from '../model/configuration.ts';
import { Sealing } from '../model/sealing.ts';
import { definePlugin, type Plugin } from '../plugin/define-plugin.ts';
import { ADMIN_KEY, MemoryStore, runAdmin } from './testing.ts';

const nodes = { '127.0.0.1:80': 1 };
const route = { uri: '/x', upstream: { nodes } };
const error = (answer: { readonly body: Readonly<Record<string, unknown>> }) => answer.body.error_msg;

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
    ['PUT', '/apisix/admin/services/1/graphql_cost_decorations', {}, 404, 'not found'],
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

test('a deletion is forced only when asked to be', async () => {
  await using running = await runAdmin();
  await running.ask('PUT', '/apisix/admin/upstreams/1', { nodes });
  await running.ask('PUT', '/apisix/admin/routes/1', { uri: '/', upstream_id: 1 });
  const refused = await running.ask('DELETE', '/apisix/admin/upstreams/1?force=1');
  assert.equal(error(refused), 'can not delete this upstream, route [1] is still using it now');
  assert.equal((await running.ask('DELETE', '/apisix/admin/upstreams/1?force=true')).status, 200);
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
