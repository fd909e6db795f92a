// The whole gateway with each of the registries.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import type { Scope } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel, tally } from '../support/http-call.ts';
import { registries } from '../support/registries.ts';

/** Echoes at one port on several loopback addresses, which a registry with one port per service can tell apart. */
async function startAt(scope: Scope, host: string, port = 0): Promise<{ host: string; port: number }> {
  const server = http.createServer((_, response) => response.end(host));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  scope.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return { host, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

describe('service discovery by each registry', { concurrency: 4 }, () => {
  for (const [type, start] of Object.entries(registries)) {
    test(`an Upstream follows ${type}, on every worker, and answers 503 while there is no Target`, async (t) => {
      const registry = await start(t);
      const one = await startAt(t, '127.0.0.1');
      const two = await startAt(t, '127.0.0.2', one.port);
      registry.set('orders', [one]);
      const config = {
        discovery: { [type]: registry.settings },
        admin: { address: '127.0.0.1:0', keys: [{ name: 'test', key: 'test-key' }] },
        upstreams: [{ id: 'orders', discovery_type: type, service_name: registry.nameOf('orders') }],
        routes: [{ id: 'all', uri: '/*', upstream_id: 'orders' }],
      };
      const gateway = await startWithFile(t, JSON.stringify(config), {
        name: 'sluice.json',
        workers: 2,
        accessLog: 'off',
      });
      const { sluice } = gateway;
      const seen = async () =>
        tally(
          await inParallel(12, 4, async () => {
            const { status, body } = await sluice.call('/');
            return status === 200 ? body : status;
          }),
        );
      assert.deepEqual(await seen(), { '127.0.0.1': 12 }, 'known before the first request');
      registry.set('orders', [one, two]);
      await eventually('both are used', async () => (await seen())['127.0.0.2'] === 6);
      registry.set('orders', [two]);
      await eventually('the other is left', async () => (await seen())['127.0.0.2'] === 12);
      const dump = await call(`${sluice.adminOrigin}/apisix/admin/discovery/${type}/dump`, {
        headers: { 'X-API-KEY': 'test-key' },
      });
      const { services } = dump.json();
      assert.equal(services[registry.nameOf('orders')][0].host, '127.0.0.2');
      assert.ok(!dump.body.includes('test-token'));
      const explained = await call(`${sluice.adminOrigin}/apisix/admin/explain`, {
        method: 'POST',
        headers: { 'X-API-KEY': 'test-key' },
        body: JSON.stringify({ url: 'http://a/' }),
      });
      assert.equal(explained.json().verdict.target, `127.0.0.2:${two.port}`);
      await registry.down();
      await gateway.logged("can't be followed");
      assert.deepEqual(await seen(), { '127.0.0.2': 12 }, 'the last good set');
      await registry.up();
      await gateway.logged('is followed again');
      registry.set('orders', []);
      await eventually('none is left', async () => (await seen())[503] === 12);
      assert.match((await sluice.call('/')).body, /503 Service Temporarily Unavailable/);
    });
  }
});
