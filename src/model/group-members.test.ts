import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Configuration } from './configuration.ts';
import type { Operation } from './operation.ts';
import type { Kind, Value } from './resource.ts';
import { testConfiguration } from './testing.ts';

const MISMATCHED = 'failed to check the configuration of plugin limit-count err: group conf mismatched';
const limit = (more: Value): Value => ({ 'limit-count': { count: 2, time_window: 60, group: 'g', ...more } });
const route = (more: Value = {}): Value => ({ uri: '/x', plugins: limit(more) });

function run(configuration: Configuration, operation: Operation): string {
  const plan = configuration.plan(operation);
  if (!plan.ok) return plan.message;
  configuration.commit(plan.change);
  return 'accepted';
}
const put = (configuration: Configuration, kind: Kind, id: string, value: Value) =>
  run(configuration, { type: 'put', kind, id, value });

test('a Binding must have the config of its group, wherever the others are', () => {
  const configuration = testConfiguration();
  assert.equal(put(configuration, 'routes', 'a', route()), 'accepted');
  assert.equal(put(configuration, 'routes', 'b', route({ count: 3 })), MISMATCHED);
  assert.equal(put(configuration, 'services', 's', { plugins: limit({ rejected_code: 429 }) }), MISMATCHED);
  assert.equal(put(configuration, 'routes', 'b', route({ count: 3, group: 'other' })), 'accepted');
  assert.equal(put(configuration, 'services', 's', { plugins: limit({}) }), 'accepted');
});

test('what is the default, in which order, and _meta make no difference', () => {
  const configuration = testConfiguration();
  assert.equal(put(configuration, 'routes', 'a', route()), 'accepted');
  assert.equal(
    put(configuration, 'routes', 'b', route({ rejected_code: 503, key: 'remote_addr' })),
    'accepted',
  );
  const other = { 'limit-count': { _meta: { priority: 3 }, group: 'g', time_window: 60, count: 2 } };
  assert.equal(put(configuration, 'routes', 'c', { uri: '/c', plugins: other }), 'accepted');
});

test('the last of a group may change it', () => {
  const configuration = testConfiguration();
  assert.equal(put(configuration, 'routes', 'a', route()), 'accepted');
  assert.equal(put(configuration, 'routes', 'a', route({ count: 3 })), 'accepted');
  assert.equal(put(configuration, 'routes', 'b', route({ count: 3 })), 'accepted');
  assert.equal(put(configuration, 'routes', 'a', route({ count: 4 })), MISMATCHED);
  assert.equal(run(configuration, { type: 'delete', kind: 'routes', id: 'b' }), 'accepted');
  assert.equal(put(configuration, 'routes', 'a', route({ count: 4 })), 'accepted');
});

test('operations of one batch see each other', () => {
  const configuration = testConfiguration();
  put(configuration, 'routes', 'a', route());
  const batch = configuration.batch();
  const write = (id: string, value: Value) => batch.plan({ type: 'put', kind: 'routes', id, value }).ok;
  assert.equal(write('a', route({ count: 5 })), true);
  assert.equal(write('b', route()), false, 'the one before has changed it');
  assert.equal(write('b', route({ count: 5 })), true);
});

test('a file whose Bindings differ is refused at the later one, a Store that holds such is served', () => {
  const configuration = testConfiguration();
  const written = [
    { kind: 'routes' as const, id: 'a', value: route() },
    { kind: 'routes' as const, id: 'b', value: route({ count: 3 }) },
  ];
  const result = configuration.replace(written);
  assert.deepEqual(!result.ok && result.errors, [
    { kind: 'routes', id: 'b', index: 1, path: ['plugins', 'limit-count'], message: MISMATCHED },
  ]);
  const resources = written.map((one) => ({
    ...one,
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
  }));
  assert.deepEqual(configuration.load({ revision: 1, resources }), []);
});
