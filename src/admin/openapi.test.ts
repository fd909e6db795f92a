import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAdmin } from './testing.ts';

test('the OpenAPI document names every resource, and every reference in it leads somewhere', async () => {
  await using running = await runAdmin();
  const { body: document, text } = await running.ask('GET', '/apisix/admin/openapi.json');
  assert.equal(document.openapi, '3.1.0');
  const paths = document.paths as Record<string, Record<string, unknown>>;
  assert.ok('patch' in paths['/apisix/admin/routes/{id}']);
  assert.ok(!('post' in paths['/apisix/admin/consumers']));
  assert.ok('put' in paths['/apisix/admin/consumers/{username}/credentials/{id}']);
  assert.ok('/apisix/admin/routes/{id}/effective' in paths);
  for (const [, reference] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const found = reference
      .split('/')
      .reduce<unknown>((place, step) => (place as Record<string, unknown>)?.[step], document);
    assert.ok(found !== undefined, reference);
  }
  assert.match(text, /"x-secret":true/);
});
