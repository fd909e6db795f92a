import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ADMIN_KEY, runAdmin } from './testing.ts';

const route = { uri: '/x', plugins: {} };

describe('a whole configuration', () => {
  test('is validated as JSON or YAML, with every error in its place', async () => {
    await using running = await runAdmin();
    const path = '/apisix/admin/configs/validate';
    const good = await running.ask('POST', path, { routes: [{ id: 1, ...route, service_id: 'elsewhere' }] });
    assert.deepEqual([good.status, good.text], [200, '{}\n']);
    const bad = await running.ask(
      'POST',
      path,
      'routes:\n  - id: a\n    uri: 1\n  - id: a\n    uri: /\n    plugins: {}\nconsumers:\n  - id: x/credentials/1\n    plugins: {limit-count: {count: 1, time_window: 1}}\n',
      { 'X-API-KEY': ADMIN_KEY, 'Content-Type': 'application/yaml' },
    );
    assert.equal(bad.status, 400);
    assert.deepEqual(bad.body, {
      error_msg: 'Configuration validation failed',
      errors: [
        {
          resource_type: 'routes',
          resource_id: 'a',
          index: 0,
          error:
            'invalid routes at index 0, err: invalid configuration: property "uri" validation failed: wrong type: expected string, got number',
        },
        { resource_type: 'routes', resource_id: 'a', index: 1, error: 'found duplicate id a in routes' },
        {
          resource_type: 'consumers',
          resource_id: 'x/credentials/1',
          index: 0,
          error: 'invalid consumers at index 0, err: only supports auth type plugins in consumer credential',
        },
      ],
    });
    assert.equal(
      (await running.ask('POST', path, '')).body.error_msg,
      'invalid request body: empty request body',
    );
  });
});
