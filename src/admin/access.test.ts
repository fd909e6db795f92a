import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ADMIN_KEY, runAdmin, VIEWER_KEY } from './testing.ts';

const route = { uri: '/x', plugins: {} };

describe('who may ask', () => {
  test('is told by header, query or cookie, and a viewer may only read', async () => {
    await using running = await runAdmin();
    const status = async (method: string, path: string, headers: Record<string, string>) =>
      (await running.ask(method, path, method === 'PUT' ? route : undefined, headers)).status;
    assert.equal(await status('GET', `/apisix/admin/routes?api_key=${ADMIN_KEY}`, {}), 200);
    assert.equal(await status('GET', '/apisix/admin/routes', { Cookie: `a=b; x_api_key=${ADMIN_KEY}` }), 200);
    assert.equal(await status('GET', '/apisix/admin/routes', { 'X-API-KEY': VIEWER_KEY }), 200);
    assert.equal(await status('PUT', '/apisix/admin/routes/1', { 'X-API-KEY': VIEWER_KEY }), 401);
    const refused = await running.ask('DELETE', '/apisix/admin/routes/1', undefined, {
      'X-API-KEY': VIEWER_KEY,
    });
    assert.equal(refused.body.description, 'invalid method for role viewer');
    assert.equal(running.configuration.revision, 0);
  });

  test('is not told by the cookie of a page from elsewhere', async () => {
    await using running = await runAdmin();
    const headers = { Cookie: `x_api_key=${ADMIN_KEY}`, 'Sec-Fetch-Site': 'cross-site' };
    assert.equal((await running.ask('GET', '/apisix/admin/routes', undefined, headers)).status, 401);
  });

  test('must call the place by its name, so that a rebound name is refused', async () => {
    await using running = await runAdmin({ hostNames: ['gateway.example'] });
    for (const [Host, status] of [
      ['evil.example', 421],
      ['127.0.0.1.evil.example:9180', 421],
      ['localhost:9180', 200],
      ['Gateway.Example', 200],
      ['[::1]:9180', 200],
      ['10.0.0.1', 200],
    ] as const) {
      const answer = await running.ask('GET', '/apisix/admin/routes', undefined, {
        Host,
        'X-API-KEY': ADMIN_KEY,
      });
      assert.equal(answer.status, status, Host);
    }
  });

  test('must come from an allowed address', async () => {
    await using running = await runAdmin({ allow: ['10.0.0.0/8'] });
    const answer = await running.ask('GET', '/apisix/admin/routes');
    assert.equal(answer.status, 403);
    assert.doesNotMatch(answer.text, /list/);
  });

  test('can not be nobody: a server without a key is not made', async () => {
    await assert.rejects(runAdmin({ keys: [] }), /at least one key/);
    await assert.rejects(runAdmin({ keys: [{ name: 'a', key: '', role: 'admin' }] }), /none may be empty/);
  });

  test('gets 200 to HEAD /apisix/admin', async () => {
    await using running = await runAdmin();
    assert.equal((await running.ask('HEAD', '/apisix/admin', undefined, {})).status, 200);
  });
});
