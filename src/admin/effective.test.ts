import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAdmin } from './testing.ts';

test('the effective view shows the winner of each Plugin, where it came from, and the order', async () => {
  await using running = await runAdmin();
  const limit = (count: number) => ({ 'limit-count': { count, time_window: 1 } });
  await running.ask('PUT', '/apisix/admin/services/s', { plugins: { ...limit(1), 'proxy-rewrite': {} } });
  await running.ask('PUT', '/apisix/admin/plugin_configs/p', { plugins: { ...limit(2), 'key-auth': {} } });
  await running.ask('PUT', '/apisix/admin/consumer_groups/g', { plugins: limit(4) });
  await running.ask('PUT', '/apisix/admin/consumers', {
    username: 'c',
    group_id: 'g',
    plugins: { 'key-auth': { key: 'k' } },
  });
  await running.ask('PUT', '/apisix/admin/global_rules/1', { plugins: { 'proxy-rewrite': {} } });
  await running.ask('PUT', '/apisix/admin/routes/1', {
    uri: '/',
    service_id: 's',
    plugin_config_id: 'p',
    plugins: { 'proxy-rewrite': { _meta: { disable: true } } },
  });
  const shown = async (query: string) => {
    const { body } = await running.ask('GET', `/apisix/admin/routes/1/effective${query}`);
    return (body.bindings as { plugin: string; priority: number; place: { kind: string } }[]).map(
      ({ plugin, priority, place }) => [plugin, priority, place.kind],
    );
  };
  assert.deepEqual(await shown(''), [
    ['key-auth', 2500, 'plugin_configs'],
    ['limit-count', 1002, 'plugin_configs'],
  ]);
  assert.deepEqual(await shown('?consumer=c'), [
    ['key-auth', 2500, 'plugin_configs'],
    ['limit-count', 1002, 'consumer_groups'],
  ]);
  assert.equal((await running.ask('GET', '/apisix/admin/routes/1/effective?consumer=x')).status, 404);
});
