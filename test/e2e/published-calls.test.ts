// The two calls of the issue and the README, word for word but for the port, the key and the name
// of the upstream, sent by curl's own habits: no Content-Type but the one that -d makes.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { fieldOf, startEcho } from '../support/echo-upstream.ts';
import { type Answer, call, inParallel, tally } from '../support/http-call.ts';
import { ADMIN_KEY, SluiceProcess, temporaryFolder } from '../support/process.ts';

const proxy = `curl -i "http://127.0.0.1:9180/apisix/admin/routes/orders-api-proxy" -H "X-API-KEY: \${APISIX_ADMIN_KEY}" -X PUT -d '{ "name": "orders-api-proxy", "uri": "/api/v1/orders/*", "upstream": { "type": "roundrobin", "nodes": { "orders-service.internal:8080": 1 } }, "plugins": { "proxy-rewrite": { "regex_uri": ["^/api/v1/orders/(.*)", "/internal/orders/$1"], "headers": { "X-API-Version": "v1" } } } }'`;
const gateway = `curl -i "http://127.0.0.1:9180/apisix/admin/routes/orders-gateway" -H "X-API-KEY: \${APISIX_ADMIN_KEY}" -X PUT -d '{ "name": "orders-gateway", "uri": "/api/v1/orders/*", "upstream": { "type": "roundrobin", "nodes": { "orders-service.internal:8080": 1 }, "timeout": { "connect": 3, "send": 10, "read": 10 } }, "plugins": { "key-auth": {}, "limit-count": { "count": 500, "time_window": 60, "rejected_code": 429, "key_type": "var", "key": "consumer_name" }, "proxy-rewrite": { "regex_uri": ["^/api/v1/orders/(.*)", "/internal/orders/$1"] } } }'`;

/** Does what curl does with such a command; curl itself may not be there. */
async function curl(command: string): Promise<Answer> {
  const [, url, key, method, body] =
    /^curl -i "(.*?)" -H "X-API-KEY: (.*?)" -X (\w+) -d '(.*)'$/.exec(command) ?? [];
  assert.match(key, /^\$\{APISIX_ADMIN_KEY\}$/);
  return call(url, {
    method,
    headers: {
      'User-Agent': 'curl/8.14.1',
      Accept: '*/*',
      'X-API-KEY': ADMIN_KEY,
      'Content-Type': 'application/x-www-form-urlencoded',
    },
    body,
  });
}

test('the two published calls work as they are written', async (t) => {
  const upstream = await startEcho(t);
  const sluice = await SluiceProcess.start(t, {
    args: ['start', '--data', temporaryFolder(t)],
    workers: 2,
    accessLog: 'off',
  });
  const here = (command: string) =>
    command
      .replace('http://127.0.0.1:9180', sluice.adminOrigin)
      .replace('orders-service.internal:8080', `localhost:${upstream.port}`);

  await t.test('the first is answered 201, then 200, in the envelope of v3', async () => {
    const created = await curl(here(proxy));
    assert.equal(created.status, 201);
    assert.equal(created.headers['x-api-version'], 'v3');
    const { key, value, ...rest } = created.json();
    assert.deepEqual([key, rest], ['/apisix/routes/orders-api-proxy', {}]);
    assert.equal(value.id, 'orders-api-proxy');
    assert.deepEqual(value.upstream.nodes, { [`localhost:${upstream.port}`]: 1 });
    assert.equal(typeof value.create_time, 'number');
    assert.equal((await curl(here(proxy))).status, 200);
  });

  await t.test('the very next request on every worker is rewritten', async () => {
    const answers = await inParallel(16, 16, () => sluice.call('/api/v1/orders/123?expand=1'));
    for (const answer of answers) {
      assert.equal(answer.status, 200);
      assert.equal(answer.json().url, '/internal/orders/123?expand=1');
      assert.equal(fieldOf(answer.json().rawHeaders, 'X-API-Version'), 'v1');
    }
  });

  await t.test('the second asks for a key, from the very next request on', async () => {
    // Both stand now, with the same uri and priority: the greater id is the gateway's.
    assert.equal((await curl(here(gateway))).status, 201);
    for (const answer of await inParallel(16, 16, () => sluice.call('/api/v1/orders/123'))) {
      assert.equal(answer.status, 401);
      assert.deepEqual(answer.json(), { message: 'Missing API key in request' });
    }
  });

  await t.test('with a key the 501st call in the window is refused, whichever worker counts', async () => {
    await sluice.put('consumers', { username: 'jack', plugins: { 'key-auth': { key: 'jack-key' } } });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 50 });
    t.after(() => agent.destroy());
    const headers = { apikey: 'jack-key' };
    const answers = await inParallel(600, 50, () => sluice.call('/api/v1/orders/123', { agent, headers }));
    assert.deepEqual(tally(answers.map(({ status }) => status)), { 200: 500, 429: 100 });
    const passed = answers.filter(({ status }) => status === 200);
    assert.equal(passed[0].json().url, '/internal/orders/123');
    assert.ok(passed.every((answer) => answer.headers['x-ratelimit-limit'] === '500'));
    const remaining = passed.map((answer) => Number(answer.headers['x-ratelimit-remaining']));
    assert.equal(new Set(remaining).size, 500, 'every call got a place of its own');
    const refused = answers.find(({ status }) => status === 429);
    assert.equal(refused?.headers['x-ratelimit-remaining'], '0');
    assert.ok(upstream.requests.length === 16 + 500, 'what is refused does not reach the upstream');
  });
});
