// A cache that stands in for an Upstream that fails must not make it look well to who judges it.
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Value } from '../../src/model/resource.ts';
import type { Logger } from '../../src/plugin/kit.ts';
import { httpCache } from '../../src/plugins/http-cache/http-cache.ts';
import { sloCanary } from '../../src/plugins/slo-canary/slo-canary.ts';
import { CacheZones } from '../../src/state/cache/cache-zones.ts';
import { Gateway, route } from '../support/gateway.ts';
import { call } from '../support/http-call.ts';

async function upstream(t: TestContext, status: (asked: number) => number) {
  let asked = 0;
  const server = http.createServer((_request, response) => {
    response.setHeader('Cache-Control', 'max-age=0, stale-if-error=60');
    response.setHeader('ETag', '"a"');
    response.statusCode = status(++asked);
    response.end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get asked() {
      return asked;
    },
  };
}

test('a canary whose failures are covered by stored responses is rolled back', async (t) => {
  const baseline = await upstream(t, () => 200);
  const canary = await upstream(t, (asked) => (asked === 1 ? 200 : 503));
  const zones = new CacheZones({
    settings: [{ name: 'memory_cache', memory_bytes: 1 << 20 }],
    worker: 1,
    workers: 1,
    channel: undefined,
    log: {} as Logger,
  });
  const nodes = [{ host: '127.0.0.1', port: canary.port, weight: 1 }];
  const judged = {
    upstream: { type: 'roundrobin', nodes },
    steps: [100],
    min_requests: 4,
    max_error_rate: 0.5,
  };
  const plugins = {
    'http-cache': withDefaults(httpCache.config, {}) as Value,
    'slo-canary': withDefaults(sloCanary.config, judged) as Value,
  };
  const gateway = await Gateway.start(t, {
    routes: [route('all', baseline.port, { plugins })],
    plugins: [httpCache, sloCanary],
    cache: (zone) => zones.zone(zone),
  });
  for (let times = 0; times < 6; times++) {
    const answer = await call(`http://127.0.0.1:${gateway.port}/`);
    assert.deepEqual([answer.status, answer.body], [200, 'hello']);
  }
  assert.equal(canary.asked, 4);
  assert.equal(baseline.asked, 2);
});
