import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDefaults } from '../lib/json-schema.ts';
import { type Route, route } from './route.ts';
import { type Upstream, upstream } from './upstream.ts';

test('a Route and an Upstream read with defaults have the types that their schemas say', () => {
  const read: Route = withDefaults(route, { uri: '/', upstream: { nodes: [{ host: 'a', weight: 1 }] } });
  const priority: number = read.priority;
  const status: 0 | 1 = read.status;
  // @ts-expect-error: a Route need not have one.
  const hosts: readonly string[] = read.hosts;
  const inner: Upstream | undefined = read.upstream;
  assert.deepEqual(
    [priority, status, hosts, inner?.type, inner?.scheme],
    [0, 1, undefined, 'roundrobin', 'http'],
  );
  assert.deepEqual(inner?.nodes, [{ host: 'a', weight: 1, priority: 0 }]);
  const alone = withDefaults(upstream, { nodes: { 'a:1': 1 }, checks: { active: { healthy: {} } } });
  assert.equal(alone.checks?.active?.healthy?.interval, 1);
  assert.equal(alone.keepalive_pool, undefined);
});
