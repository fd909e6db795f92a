import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAdmin } from './testing.ts';

test('Plugins are listed by priority, and their schemas have _meta and the mark', async () => {
  await using running = await runAdmin();
  assert.equal(
    (await running.ask('GET', '/apisix/admin/plugins/list')).text,
    '["key-auth","proxy-rewrite","limit-count","traffic-split"]\n',
  );
  const schema = (await running.ask('GET', '/apisix/admin/plugins/limit-count')).body;
  assert.equal(schema.$comment, 'this is a mark for our injected plugin schema');
  assert.deepEqual(Object.keys((schema.properties as { _meta: { properties: object } })._meta.properties), [
    'disable',
    'error_response',
    'priority',
    'filter',
    'pre_function',
  ]);
  assert.deepEqual((await running.ask('GET', '/apisix/admin/schema/plugins/limit-count')).body, schema);
  const consumer = (await running.ask('GET', '/apisix/admin/plugins/key-auth?schema_type=consumer')).body;
  assert.deepEqual(consumer.required, ['key']);
  assert.equal((await running.ask('PUT', '/apisix/admin/plugins/reload')).text, 'done');
  assert.ok('uri' in ((await running.ask('GET', '/apisix/admin/schema/route')).body.properties as object));
});
