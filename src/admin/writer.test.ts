import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TestClock, testConfiguration } from '../model/testing.ts';
import { runAdmin } from './testing.ts';

const nodes = { '127.0.0.1:80': 1 };
const route = { uri: '/x', upstream: { nodes } };

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
    // The Store is busy until all forty have arrived.
    running.store.gate = new Promise((resolve) => {
      let arrived = 0;
      running.admin.server.on('request', (request) =>
        request.on('end', () => {
          arrived++;
          if (arrived === 40) setImmediate(resolve);
        }),
      );
    });
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
