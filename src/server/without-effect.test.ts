import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutEffect } from './without-effect.ts';

const nodes = { '127.0.0.1:80': 1 };

test('says nothing of what is heeded', () => {
  const upstream = {
    nodes,
    scheme: 'https',
    tls: { verify: false },
    retries: 1,
    checks: { active: {} },
    slow_start: {},
  };
  assert.deepEqual(
    withoutEffect(
      [
        { kind: 'routes', id: 'a', value: { uri: '/a', upstream } },
        { kind: 'upstreams', id: 'b', value: upstream },
        { kind: 'ssls', id: 'c', value: { type: 'client' } },
        { kind: 'stream_routes', id: 'd', value: { upstream: { nodes, scheme: 'tls' } } },
      ],
      { listeners: [{ address: '127.0.0.1:1', protocol: 'tcp' }] },
    ),
    [],
  );
});

test('names what is not, in Upstreams of their own and in place', () => {
  const upstream = { nodes, scheme: 'kafka', discovery_type: 'dns' };
  assert.deepEqual(
    withoutEffect(
      [
        { kind: 'upstreams', id: 'b', value: upstream },
        { kind: 'routes', id: 'a', value: { uri: '/a', upstream: { nodes, type: 'ewma', slow_start: {} } } },
        { kind: 'stream_routes', id: 's', value: {} },
      ],
      { listeners: [{ address: '127.0.0.1:1' }] },
    ).map((line) => line.split(' has no effect: ')[0]),
    ['upstreams/b discovery_type', 'upstreams/b scheme', 'routes/a upstream.slow_start', 'stream_routes/s'],
  );
});
