import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrival } from './arrival.ts';
import type { Kind, Resource } from './resource.ts';
import { testConfiguration } from './testing.ts';

function route(id: string, revision: number, more: Partial<Resource> = {}): Resource {
  const value = { id, uri: `/${id}`, upstream: { nodes: { '127.0.0.1:1': 1 } } };
  return {
    kind: 'routes',
    id,
    workspace: 'default',
    createdRevision: revision,
    modifiedRevision: revision,
    value,
    ...more,
  };
}

test('a step arrives with its secrets opened, and frozen', () => {
  const [here, there] = [testConfiguration(), testConfiguration()];
  const value = { username: 'jack', plugins: { 'key-auth': { key: 'secret' } } };
  const plan = there.plan({ type: 'put', kind: 'consumers', value });
  assert.ok(plan.ok);
  const sealed = there.sealed(plan.change);
  assert.doesNotMatch(JSON.stringify(sealed), /"secret"/);
  const change = arrival(here, sealed);
  assert.deepEqual(change, plan.change);
  assert.ok(Object.isFrozen(change.puts[0].value.plugins));
  assert.equal(here.revision, 0, 'nothing is changed yet');
});

test('a whole content arrives as the difference to what is here', () => {
  const here = testConfiguration();
  const kept = route('kept', 1);
  here.commit({
    revision: 2,
    puts: [kept, route('changed', 1), route('gone', 2), route('again', 2)],
    removals: [],
  });
  const changed = route('changed', 5, { createdRevision: 1 });
  const resources = [kept, changed, route('new', 4), route('again', 5)];
  const change = arrival(here, { revision: 5, resources });
  assert.deepEqual(
    change.puts.map(({ id }) => id),
    ['changed', 'new', 'again'],
  );
  here.commit(change);
  assert.deepEqual(here.snapshot.all(), resources);
  assert.equal(here.revision, 5);
  assert.deepEqual(arrival(here, { revision: 5, resources }), { revision: 5, puts: [], removals: [] });
});

test('the same numbers in another history are another resource', () => {
  const here = testConfiguration();
  here.commit({ revision: 1, puts: [route('a', 1)], removals: [] });
  const other = route('a', 1, { value: { ...route('a', 1).value, uri: '/other' } });
  assert.deepEqual(arrival(here, { revision: 1, resources: [other] }).puts, [other]);
});

test('what can not be taken is named, and nothing of the rest is taken', () => {
  const here = testConfiguration();
  const cases: readonly (readonly [Resource, RegExp])[] = [
    [
      route('own', 7, { value: { id: 'own', uri: '/', plugins: { own: {} } } }),
      /^revision 7 can't be taken here: routes\/own: unknown plugin \[own\]/,
    ],
    [route('bad', 7, { value: { id: 'bad' } }), /: routes\/bad: invalid configuration/],
    [route('x', 7, { kind: 'products' as Kind }), /: this version knows no products$/],
    [
      {
        ...route('jack', 7),
        kind: 'consumers',
        value: { username: 'jack', plugins: { 'key-auth': { key: 'sealed:1:AAAA' } } },
      },
      /: consumers\/jack: the sealed text of key-auth\.key can't be opened/,
    ],
  ];
  for (const [resource, message] of cases) {
    const error = { name: 'ConfigError', message };
    assert.throws(
      () => arrival(here, { revision: 7, puts: [route('fine', 7), resource], removals: [] }),
      error,
    );
    assert.throws(() => arrival(here, { revision: 7, resources: [route('fine', 7), resource] }), error);
  }
});
