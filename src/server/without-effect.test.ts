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
        { kind: 'upstreams', id: 'e', value: { service_name: 'a', discovery_type: 'dns' } },
        { kind: 'upstreams', id: 'f', value: { service_name: 'a', discovery_type: 'file' } },
        { kind: 'ssls', id: 'c', value: { type: 'client' } },
        { kind: 'stream_routes', id: 'd', value: { upstream: { nodes, scheme: 'tls' } } },
      ],
      {
        listeners: [{ address: '127.0.0.1:1', protocol: 'tcp' }],
        discovery: { file: { path: 'services.yaml' } },
      },
    ),
    [],
  );
});

test('names what is not, in Upstreams of their own and in place', () => {
  const upstream = { service_name: 'a', scheme: 'kafka', discovery_type: 'nacos', discovery_args: {} };
  assert.deepEqual(
    withoutEffect(
      [
        { kind: 'upstreams', id: 'b', value: upstream },
        { kind: 'upstreams', id: 'c', value: { service_name: 'a', discovery_type: 'consul' } },
        { kind: 'routes', id: 'a', value: { uri: '/a', upstream: { nodes, type: 'ewma', slow_start: {} } } },
        { kind: 'stream_routes', id: 's', value: {} },
      ],
      { listeners: [{ address: '127.0.0.1:1' }], discovery: {} },
    ).map((line) => line.split(' has no effect: ')[0]),
    [
      'upstreams/b discovery_type',
      'upstreams/b discovery_args',
      'upstreams/b scheme',
      'upstreams/c discovery_type',
      'routes/a upstream.slow_start',
      'stream_routes/s',
    ],
  );
});
