import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bindingsOf, mergeBindings, orderBindings } from './precedence.ts';
import type { Kind, Resource, Value } from './resource.ts';

function resource(kind: Kind, plugins: Value): Resource {
  return {
    kind,
    id: kind,
    workspace: 'default',
    createdRevision: 1,
    modifiedRevision: 1,
    value: { plugins },
  };
}
const none = () => false;
const places = (bindings: ReturnType<typeof mergeBindings>) =>
  Object.fromEntries(bindings.map(({ plugin, place }) => [plugin, place.kind]));

test('the Consumer wins over its group, the Route, the Plugin config and the Service, in this order', () => {
  const sources = {
    service: resource('services', { a: {}, b: {}, c: {}, d: {}, e: {} }),
    pluginConfig: resource('plugin_configs', { a: {}, b: {}, c: {}, d: {} }),
    route: resource('routes', { a: {}, b: {}, c: {} }),
    consumerGroup: resource('consumer_groups', { a: {}, b: {} }),
    consumer: resource('consumers', { a: {} }),
  };
  assert.deepEqual(places(mergeBindings(sources, none)), {
    a: 'consumers',
    b: 'consumer_groups',
    c: 'routes',
    d: 'plugin_configs',
    e: 'services',
  });
});

test('a disabled Binding is left out and hides weaker ones', () => {
  const sources = {
    service: resource('services', { a: {}, b: {} }),
    route: resource('routes', { a: { _meta: { disable: true } }, b: { _meta: { disable: false } } }),
  };
  assert.deepEqual(places(mergeBindings(sources, none)), { b: 'routes' });
});

test('a credential on a Consumer is no Binding', () => {
  const sources = {
    consumer: resource('consumers', { 'key-auth': { key: 'k' }, a: {} }),
    route: resource('routes', { 'key-auth': {} }),
  };
  const merged = mergeBindings(sources, (plugin) => plugin === 'key-auth');
  assert.deepEqual(places(merged), { 'key-auth': 'routes', a: 'consumers' });
});

test('the order is by priority, which _meta may set, then by name', () => {
  const bindings = bindingsOf(
    resource('routes', { b: {}, a: {}, late: { _meta: { priority: -1 } }, first: [] }),
  );
  const order = orderBindings(bindings, (plugin) => (plugin === 'first' ? 9 : 1)).map(({ plugin }) => plugin);
  assert.deepEqual(order, ['first', 'a', 'b', 'late']);
});
