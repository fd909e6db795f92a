import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Configuration } from './configuration.ts';
import type { Failure } from './failure.ts';
import type { Answer, Operation } from './operation.ts';
import type { Kind, Value } from './resource.ts';
import { ResourceIndex } from './resource-index.ts';
import { isSealed } from './sealing.ts';
import { fakePlugins, TestClock, testConfiguration } from './testing.ts';

const nodes = { '127.0.0.1:80': 1 };

function run(configuration: Configuration, operation: Operation): Answer | Failure {
  const plan = configuration.plan(operation);
  if (!plan.ok) return plan;
  configuration.commit(plan.change);
  return plan.answer;
}
const put = (configuration: Configuration, kind: Kind, id: string | undefined, value: Value) =>
  run(configuration, { type: 'put', kind, id, value });
const message = (result: Answer | Failure) =>
  'message' in result ? result.message : `accepted with ${result.status}`;

describe('a write', () => {
  test('is 201 for a new resource and 200 for a replaced one, whose create_time stays', () => {
    const clock = new TestClock();
    const configuration = testConfiguration(clock);
    assert.equal(put(configuration, 'upstreams', 'u', { nodes }).ok, true);
    clock.advance(5_000);
    const second = put(configuration, 'upstreams', 'u', { nodes, retries: 0 });
    assert.deepEqual(second, {
      ok: true,
      status: 200,
      body: {
        key: '/apisix/upstreams/u',
        value: { id: 'u', nodes, retries: 0, create_time: 1_795_171_888, update_time: 1_795_171_893 },
      },
    });
    const stored = configuration.snapshot.get('upstreams', 'u');
    assert.deepEqual(
      [stored?.createdRevision, stored?.modifiedRevision, stored?.workspace],
      [1, 2, 'default'],
    );
  });

  test('changes nothing before it is committed', () => {
    const configuration = testConfiguration();
    const plan = configuration.plan({ type: 'put', kind: 'upstreams', id: 'u', value: { nodes } });
    assert.equal(plan.ok, true);
    assert.equal(configuration.snapshot.has('upstreams', 'u'), false);
    assert.equal(configuration.revision, 0);
  });

  test('without an id gets one from the revision before it', () => {
    const configuration = testConfiguration();
    put(configuration, 'upstreams', 'u', { nodes });
    const answer = run(configuration, { type: 'create', kind: 'upstreams', value: { nodes } });
    assert.equal(answer.body.key, '/apisix/upstreams/00000000000000000001');
  });

  test('needs what it refers to', () => {
    const configuration = testConfiguration();
    const uri = '/x';
    for (const [value, expected] of [
      [
        { uri, upstream_id: 'ghost' },
        'failed to fetch upstream info by upstream id [ghost], response code: 404',
      ],
      [{ uri, service_id: 7 }, 'failed to fetch service info by service id [7], response code: 404'],
      [
        { uri, plugins: {}, plugin_config_id: 'p' },
        'failed to fetch plugin config info by plugin config id [p], response code: 404',
      ],
      [
        { uri, plugins: { 'traffic-split': { rules: [{ weighted_upstreams: [{ upstream_id: 9 }] }] } } },
        'failed to fetch upstream info by upstream id [9], response code: 404',
      ],
    ] as const) {
      assert.equal(message(put(configuration, 'routes', 'r', value)), expected);
    }
    assert.equal(
      message(put(configuration, 'consumers', 'c', { username: 'c', group_id: 'g' })),
      'failed to fetch consumer group info by consumer group id [g], response code: 404',
    );
    assert.equal(message(put(configuration, 'credentials', 'c/1', { plugins: {} })), 'consumer not found');
  });

  test('refuses what would need Lua, and says what to use instead', () => {
    const configuration = testConfiguration();
    const value = { uri: '/x', plugins: {}, filter_func: 'function(vars) return true end' };
    assert.equal(
      message(put(configuration, 'routes', 'r', value)),
      'filter_func is Lua and not supported; use vars',
    );
  });

  test('is merged or placed by PATCH, and renews update_time unless told', () => {
    const clock = new TestClock();
    const configuration = testConfiguration(clock);
    put(configuration, 'routes', 'r', { uri: '/x', desc: 'd', methods: ['GET'], upstream: { nodes } });
    clock.advance(1_000);
    const merged = run(configuration, {
      type: 'patch',
      kind: 'routes',
      id: 'r',
      value: { desc: null, methods: ['PUT'], upstream: { retries: 1 } },
    });
    assert.deepEqual(merged.body.value, {
      id: 'r',
      uri: '/x',
      methods: ['PUT'],
      upstream: { nodes, retries: 1 },
      create_time: 1_795_171_888,
      update_time: 1_795_171_889,
    });
    const placed = run(configuration, {
      type: 'patch-path',
      kind: 'routes',
      id: 'r',
      path: 'upstream/retries',
      value: 3,
    });
    assert.deepEqual((placed.body.value as Value).upstream, { nodes, retries: 3 });
    const kept = run(configuration, { type: 'patch', kind: 'routes', id: 'r', value: { update_time: 5 } });
    assert.equal((kept.body.value as Value).update_time, 5);
    assert.equal(
      message(run(configuration, { type: 'patch-path', kind: 'routes', id: 'r', path: 'uri/x/y', value: 1 })),
      'invalid sub-path: /uri',
    );
  });
});

describe('a deletion', () => {
  test('is refused while something uses the resource, unless forced', () => {
    const configuration = testConfiguration();
    put(configuration, 'upstreams', '1', { nodes });
    put(configuration, 'services', 's', { upstream_id: 1 });
    assert.equal(
      message(run(configuration, { type: 'delete', kind: 'upstreams', id: '1' })),
      'can not delete this upstream, service [s] is still using it now',
    );
    put(configuration, 'routes', 'r', { uri: '/', service_id: 's', upstream_id: '1' });
    assert.equal(
      message(run(configuration, { type: 'delete', kind: 'upstreams', id: '1' })),
      'can not delete this upstream, route [r] is still using it now',
    );
    assert.equal(
      message(run(configuration, { type: 'delete', kind: 'services', id: 's' })),
      'can not delete this service directly, route [r] is still using it now',
    );
    assert.deepEqual(run(configuration, { type: 'delete', kind: 'upstreams', id: '1', force: true }).body, {
      deleted: '1',
      key: '/apisix/upstreams/1',
    });
  });

  test('sees uses inside Plugin configs', () => {
    const configuration = testConfiguration();
    put(configuration, 'upstreams', 'u', { nodes });
    put(configuration, 'plugin_configs', 'p', {
      plugins: { 'traffic-split': { rules: [{ weighted_upstreams: [{ upstream_id: 'u' }] }] } },
    });
    assert.equal(
      message(run(configuration, { type: 'delete', kind: 'upstreams', id: 'u' })),
      'can not delete this upstream, plugin in plugin_config [p] is still using it now',
    );
  });

  test('of a Consumer takes its Credentials along in the same Change', () => {
    const configuration = testConfiguration();
    put(configuration, 'consumers', 'jane', { username: 'jane' });
    put(configuration, 'credentials', 'jane/c1', { plugins: { 'key-auth': { key: 'k' } } });
    const plan = configuration.plan({ type: 'delete', kind: 'consumers', id: 'jane' });
    assert.ok(plan.ok);
    assert.deepEqual(plan.change.removals, [
      { kind: 'credentials', id: 'jane/c1' },
      { kind: 'consumers', id: 'jane' },
    ]);
    configuration.commit(plan.change);
    assert.equal(
      put(configuration, 'consumers', 'bob', { username: 'bob', plugins: { 'key-auth': { key: 'k' } } }).ok,
      true,
    );
  });

  test('happens by itself when the time to live has passed', () => {
    const clock = new TestClock();
    const configuration = testConfiguration(clock);
    run(configuration, { type: 'put', kind: 'upstreams', id: 'u', value: { nodes }, ttl: 60 });
    assert.equal(configuration.nextExpiry(), clock.now() + 60_000);
    run(configuration, { type: 'expire' });
    assert.equal(configuration.snapshot.has('upstreams', 'u'), true);
    clock.advance(60_000);
    run(configuration, { type: 'expire' });
    assert.equal(configuration.snapshot.has('upstreams', 'u'), false);
    assert.equal(configuration.nextExpiry(), undefined);
  });
});

describe('a credential', () => {
  test('that someone else has is refused', () => {
    const configuration = testConfiguration();
    put(configuration, 'consumers', 'bob', { username: 'bob', plugins: { 'key-auth': { key: 'k' } } });
    const plugins = { 'key-auth': { key: 'k' } };
    const expected = 'duplicate key of plugin key-auth found with consumer: bob';
    assert.equal(message(put(configuration, 'consumers', 'eve', { username: 'eve', plugins })), expected);
    put(configuration, 'consumers', 'eve', { username: 'eve' });
    assert.equal(message(put(configuration, 'credentials', 'eve/1', { plugins })), expected);
    assert.equal(
      put(configuration, 'consumers', 'bob', { username: 'bob', plugins, desc: 'the same' }).ok,
      true,
    );
    put(configuration, 'consumers', 'bob', { username: 'bob' });
    assert.equal(put(configuration, 'credentials', 'eve/1', { plugins }).ok, true);
  });

  test('is plain for the workers, and sealed for the Store and in answers', () => {
    const configuration = testConfiguration();
    const plan = configuration.plan({
      type: 'put',
      kind: 'consumers',
      id: 'bob',
      value: { username: 'bob', plugins: { 'key-auth': { key: 'secret-1' } } },
    });
    assert.ok(plan.ok);
    assert.match(JSON.stringify(plan.change), /secret-1/);
    assert.doesNotMatch(JSON.stringify([configuration.sealed(plan.change), plan.answer]), /secret-1/);
  });

  test('sent back sealed means the same secret, and in another field nothing', () => {
    const configuration = testConfiguration();
    const plugins = { 'key-auth': { key: 'secret-1' } };
    const first = put(configuration, 'consumers', 'bob', { username: 'bob', plugins });
    const { plugins: sealed } = first.body.value as { plugins: { 'key-auth': { key: string } } };
    assert.ok(isSealed(sealed['key-auth'].key));
    assert.deepEqual(
      (put(configuration, 'consumers', 'bob', { username: 'bob', plugins: sealed }).body.value as Value)
        .plugins,
      sealed,
    );
    assert.deepEqual(configuration.snapshot.get('consumers', 'bob')?.value.plugins, plugins);
    const moved = { 'limit-count': { count: 1, time_window: 1, redis_password: sealed['key-auth'].key } };
    assert.match(
      message(put(configuration, 'routes', 'r', { uri: '/', plugins: moved })),
      /^the sealed text of limit-count.redis_password can't be opened/,
    );
  });
});

describe('a batch', () => {
  test('sees its own earlier operations and leaves one Change', () => {
    const configuration = testConfiguration();
    const batch = configuration.batch();
    const plan = (operation: Operation) => batch.plan(operation);
    assert.equal(plan({ type: 'put', kind: 'upstreams', id: 'u', value: { nodes } }).ok, true);
    assert.equal(
      plan({ type: 'put', kind: 'routes', id: 'r', value: { uri: '/', upstream_id: 'u' } }).ok,
      true,
    );
    assert.equal(
      message(plan({ type: 'delete', kind: 'upstreams', id: 'u' })),
      'can not delete this upstream, route [r] is still using it now',
    );
    assert.equal(plan({ type: 'delete', kind: 'routes', id: 'r' }).ok, true);
    assert.equal(plan({ type: 'patch', kind: 'upstreams', id: 'u', value: { retries: 2 } }).ok, true);
    const { change } = batch;
    assert.equal(change.revision, 4);
    assert.deepEqual(change.removals, []);
    assert.deepEqual(
      change.puts.map(({ id, modifiedRevision }) => [id, modifiedRevision]),
      [['u', 4]],
    );
  });
});

describe('a whole configuration', () => {
  test('from a Store is opened, checked and taken', () => {
    const source = testConfiguration();
    put(source, 'consumers', 'bob', { username: 'bob', plugins: { 'key-auth': { key: 'k' } } });
    const resources = source.sealed({ revision: 1, removals: [], puts: source.snapshot.all() }).puts;
    const target = testConfiguration();
    assert.deepEqual(target.load({ revision: 1, resources: JSON.parse(JSON.stringify(resources)) }), []);
    assert.deepEqual(target.snapshot.all(), source.snapshot.all());
    assert.deepEqual(target.index, source.index);
  });

  test('from a file gives the Change that leads to it, or every error with its place', () => {
    const configuration = testConfiguration();
    put(configuration, 'upstreams', 'old', { nodes });
    const good = configuration.replace([
      { kind: 'routes', id: 'r', value: { uri: '/', upstream_id: 'u' } },
      { kind: 'upstreams', id: 'u', value: { nodes } },
    ]);
    assert.ok(good.ok);
    assert.deepEqual(good.change.removals, [{ kind: 'upstreams', id: 'old' }]);
    configuration.commit(good.change);
    const again = configuration.replace([
      { kind: 'routes', id: 'r', value: { uri: '/', upstream_id: 'u' } },
      { kind: 'upstreams', id: 'u', value: { nodes, retries: 1 } },
    ]);
    assert.deepEqual(again.ok && again.change.puts.map(({ id }) => id), ['u']);
    const bad = configuration.replace([
      { kind: 'routes', id: 'r', value: { uri: '/', upstream_id: 'nope' } },
      {
        kind: 'routes',
        id: 's',
        value: { uri: '/', plugins: { 'limit-count': { count: 1, time_window: 1, rejected_code: 9 } } },
      },
      { kind: 'routes', id: 's', value: { uri: '/', plugins: {} } },
    ]);
    assert.deepEqual(
      !bad.ok &&
        bad.errors.map(({ kind, id, index, path, message }) => [kind, id, index, path.join('.'), message]),
      [
        [
          'routes',
          'r',
          0,
          'upstream_id',
          'failed to fetch upstream info by upstream id [nope], response code: 404',
        ],
        ['routes', 's', 1, '', 'found duplicate id s in routes'],
      ],
    );
  });
});

test('other Plugins are used only when what stands fits them', () => {
  const configuration = testConfiguration();
  put(configuration, 'consumers', 'bob', { username: 'bob', plugins: { 'key-auth': { key: 'k' } } });
  const without = fakePlugins.filter(({ name }) => name !== 'key-auth');
  assert.deepEqual(
    configuration.usePlugins(without).map(({ id, message }) => [id, message]),
    [['bob', 'invalid plugins configuration: unknown plugin [key-auth]']],
  );
  assert.ok(configuration.plugins.get('key-auth'));
  assert.deepEqual(configuration.usePlugins(fakePlugins.filter(({ name }) => name === 'key-auth')), []);
  assert.equal(configuration.plugins.get('limit-count'), undefined);
  const plugins = { 'key-auth': { key: 'k' } };
  assert.match(
    message(put(configuration, 'consumers', 'eve', { username: 'eve', plugins })),
    /^duplicate key/,
  );
});

test('the indexes equal a naive recomputation after any sequence of operations', () => {
  const id = fc.constantFrom('1', '2', '3');
  const key = fc.constantFrom('k1', 'k2', 'k3');
  const plugins = fc.option(fc.record({ 'key-auth': fc.record({ key }) }), { nil: undefined });
  const split = fc.option(
    id.map((upstream) => ({
      'traffic-split': { rules: [{ weighted_upstreams: [{ upstream_id: upstream }] }] },
    })),
    { nil: {} },
  );
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    id.map((id): Operation => ({ type: 'put', kind: 'upstreams', id, value: { nodes } })),
    fc
      .tuple(id, id)
      .map(([id, upstream_id]): Operation => ({ type: 'put', kind: 'services', id, value: { upstream_id } })),
    fc.tuple(id, id, split).map(
      ([id, service_id, plugins]): Operation => ({
        type: 'put',
        kind: 'routes',
        id,
        value: { uri: '/', service_id, plugins },
      }),
    ),
    fc
      .tuple(id, id)
      .map(([id, upstream_id]): Operation => ({ type: 'patch', kind: 'routes', id, value: { upstream_id } })),
    fc.tuple(id, plugins).map(
      ([id, plugins]): Operation => ({
        type: 'put',
        kind: 'consumers',
        id,
        value: { username: id, ...(plugins && { plugins }) },
      }),
    ),
    fc.tuple(id, id, plugins).map(
      ([user, id, plugins]): Operation => ({
        type: 'put',
        kind: 'credentials',
        id: `${user}/${id}`,
        value: { ...(plugins && { plugins }) },
        ttl: 1,
      }),
    ),
    fc
      .tuple(fc.constantFrom<Kind>('upstreams', 'services', 'routes', 'consumers'), id, fc.boolean())
      .map(([kind, id, force]): Operation => ({ type: 'delete', kind, id, force })),
    fc.constant<Operation>({ type: 'expire' }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(operation, { maxLength: 5 }), { maxLength: 12 }), (batches) => {
      const clock = new TestClock();
      const configuration = testConfiguration(clock);
      const oracle = testConfiguration(clock);
      for (const operations of batches) {
        const batch = configuration.batch();
        for (const operation of operations) {
          // One by one must be the same as in a batch.
          assert.deepEqual(batch.plan(operation), run(oracle, operation));
        }
        configuration.commit(batch.change);
        clock.advance(300);
        const naive = new ResourceIndex(configuration.plugins);
        for (const resource of configuration.snapshot.all()) naive.add(resource);
        assert.deepEqual(configuration.index.toJSON(), naive.toJSON());
        assert.deepEqual(configuration.snapshot.all(), oracle.snapshot.all());
        assert.equal(configuration.revision, oracle.revision);
      }
    }),
    { numRuns: 150 },
  );
});
