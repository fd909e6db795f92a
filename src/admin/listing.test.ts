import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type RunningAdmin, runAdmin } from './testing.ts';

const nodes = { '127.0.0.1:80': 1 };
const route = { uri: '/x', upstream: { nodes } };

describe('a list', () => {
  async function filled(): Promise<RunningAdmin> {
    const running = await runAdmin();
    await running.ask('PUT', '/apisix/admin/services/s', {});
    for (let index = 0; index < 25; index++) {
      const more = index % 2 === 0 ? { service_id: 's', labels: { even: 'yes' } } : { name: `odd-${index}` };
      await running.ask('PUT', `/apisix/admin/routes/r${index}`, { ...route, uri: `/${index}/a`, ...more });
    }
    return running;
  }
  const ids = (answer: { readonly body: Readonly<Record<string, unknown>> }) =>
    (answer.body.list as { value: { id: string } }[]).map(({ value }) => value.id);

  test('is paged in order of creation, with the total before paging', async () => {
    await using running = await filled();
    const page = await running.ask('GET', '/apisix/admin/routes?page=3&page_size=10');
    assert.deepEqual(ids(page), ['r20', 'r21', 'r22', 'r23', 'r24']);
    assert.equal(page.body.total, 25);
    assert.equal(ids(await running.ask('GET', '/apisix/admin/routes?page=2')).length, 25);
    assert.equal(
      (await running.ask('GET', '/apisix/admin/routes?page=1&page_size=501')).text,
      'page_size must be between 10 and 500',
    );
  });

  test('is filtered by name, uri, label and reference, all at once', async () => {
    await using running = await filled();
    const found = async (query: string) => ids(await running.ask('GET', `/apisix/admin/routes?${query}`));
    assert.deepEqual(await found('name=odd-1%24'), ['r1']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/'), ['r20', 'r21', 'r22', 'r23']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/&label=even'), ['r20', 'r22']);
    assert.deepEqual(await found('uri=%5E/2%5B0-3%5D/&filter=service_id%3Ds'), ['r20', 'r22']);
    assert.deepEqual(await found('uri=(unclosed'), []);
  });

  test('is not stopped by a pattern that explodes', async () => {
    await using running = await runAdmin();
    await running.ask('PUT', '/apisix/admin/routes/1', { ...route, name: 'a'.repeat(200) });
    assert.deepEqual(
      ids(await running.ask('GET', `/apisix/admin/routes?name=${encodeURIComponent('^(a+)+b$')}`)),
      [],
    );
  });

  test('of Credentials is that of one Consumer', async () => {
    await using running = await runAdmin();
    for (const username of ['a', 'ab']) {
      await running.ask('PUT', '/apisix/admin/consumers', { username });
      await running.ask('PUT', `/apisix/admin/consumers/${username}/credentials/1`, {
        plugins: { 'key-auth': { key: username } },
      });
    }
    const list = await running.ask('GET', '/apisix/admin/consumers/a/credentials');
    assert.equal(list.body.total, 1);
    assert.equal((await running.ask('GET', '/apisix/admin/consumers/nobody/credentials')).status, 404);
    assert.equal((await running.ask('GET', '/apisix/admin/consumers')).body.total, 2);
  });
});
