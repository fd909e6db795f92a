import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Change } from '../model/change.ts';
import type { Resource } from '../model/resource.ts';
import { StoreAwayError, type StoreContent, StoreMovedError } from '../model/store.ts';
import { TestClock, testConfiguration } from '../model/testing.ts';
import { MemoryStore, runAdmin } from './testing.ts';

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

/** A Store to which somebody else writes, too. */
class SharedMemoryStore extends MemoryStore {
  /** What is to be taken before anything can be written. */
  news: (Change | StoreContent)[] = [];
  away: Error | undefined;
  #listener = () => {};

  override async write(change: Change): Promise<void> {
    if (this.away !== undefined) throw this.away;
    if (this.news.length > 0) throw new StoreMovedError('moved');
    await super.write(change);
  }

  async catchUp(take: (step: Change | StoreContent) => void): Promise<void> {
    if (this.away !== undefined) throw this.away;
    for (; this.news.length > 0; this.news.shift()) take(this.news[0]);
  }

  watch(listener: () => void): void {
    this.#listener = listener;
  }

  stir(): void {
    this.#listener();
  }
}

function written(revision: number, kind: Resource['kind'], id: string, value: object): Change {
  const one = { kind, id, workspace: 'default', createdRevision: revision, modifiedRevision: revision };
  return { revision, puts: [{ ...one, value: { id, ...value } }], removals: [] };
}

describe('with a Store that others write to', () => {
  test('a write is planned again on what they wrote', async () => {
    const store = new SharedMemoryStore();
    await using running = await runAdmin({ store });
    await running.ask('PUT', '/apisix/admin/routes/1', route);
    store.news = [written(2, 'routes', '1', { ...route, labels: { theirs: 'x' } })];
    const answer = await running.ask('PATCH', '/apisix/admin/routes/1', { labels: { ours: 'y' } });
    assert.equal(answer.status, 200);
    const { value } = (await running.ask('GET', '/apisix/admin/routes/1')).body as { value: object };
    assert.deepEqual((value as { labels: object }).labels, { theirs: 'x', ours: 'y' });
    assert.deepEqual(
      running.broadcasts.map(({ revision }) => revision),
      [1, 2, 3],
    );
  });

  test('a refusal stands only on what holds now', async () => {
    const store = new SharedMemoryStore();
    await using running = await runAdmin({ store });
    store.news = [written(1, 'upstreams', 'u', { nodes })];
    const using = { uri: '/x', upstream_id: 'u' };
    assert.equal((await running.ask('PUT', '/apisix/admin/routes/1', using)).status, 201);
    store.news = [{ revision: 5, resources: [] }];
    assert.equal((await running.ask('PUT', '/apisix/admin/routes/2', using)).status, 400);
    assert.equal(running.configuration.revision, 5);
    assert.equal((await running.ask('GET', '/apisix/admin/routes/1')).status, 404);
  });

  test('what they wrote is taken and broadcast without a write', async () => {
    const store = new SharedMemoryStore();
    await using running = await runAdmin({ store });
    store.news = [written(1, 'routes', 'theirs', route)];
    store.stir();
    await running.admin.writer.refresh();
    assert.equal((await running.ask('GET', '/apisix/admin/routes/theirs')).status, 200);
    assert.equal(running.broadcasts.length, 1);
  });

  test('what can not be taken is said once, and nothing is written before it can be', async () => {
    const store = new SharedMemoryStore();
    await using running = await runAdmin({ store });
    store.news = [written(1, 'routes', 'own', { uri: '/', plugins: { own: {} } })];
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = await running.ask('PUT', '/apisix/admin/routes/1', route);
      assert.equal(answer.status, 503);
      assert.match(
        String(answer.body.error_msg),
        /^revision 1 can't be taken here: routes\/own: unknown plugin/,
      );
    }
    assert.equal(running.logged.length, 1);
    await assert.rejects(running.admin.writer.refresh(), /can't be taken here/);
    store.news = [written(2, 'routes', 'own', route)];
    assert.equal((await running.ask('PUT', '/apisix/admin/routes/1', route)).status, 201);
  });

  test('while it is away, the answer is 503 with the reason, and reading goes on', async () => {
    const store = new SharedMemoryStore();
    await using running = await runAdmin({ store });
    await running.ask('PUT', '/apisix/admin/routes/1', route);
    store.away = new StoreAwayError('the database is away');
    const answer = await running.ask('PUT', '/apisix/admin/routes/2', route);
    assert.deepEqual([answer.status, answer.body], [503, { error_msg: 'the database is away' }]);
    assert.equal((await running.ask('GET', '/apisix/admin/routes/1')).status, 200);
    // The Store says itself that it is away.
    assert.deepEqual(running.logged, []);
  });
});
