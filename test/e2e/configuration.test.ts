// What the configuration says, shown by requests: where Bindings come from, which wins, how single
// ones are tuned by _meta, and what changes of resources do to traffic.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type EchoUpstream, fieldOf, startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import type { Answer } from '../support/http-call.ts';
import { SluiceProcess, temporaryFolder } from '../support/process.ts';

describe('a gateway with an Admin API', () => {
  const ends: (() => unknown)[] = [];
  let sluice: SluiceProcess;
  let upstream: EchoUpstream;
  let nodes: Record<string, number>;

  before(async () => {
    const scope = { after: (end: () => unknown) => void ends.unshift(end) };
    upstream = await startEcho(scope as Parameters<typeof startEcho>[0]);
    nodes = { [upstream.address]: 1 };
    const data = temporaryFolder(scope as Parameters<typeof startEcho>[0]);
    sluice = await SluiceProcess.start(scope as Parameters<typeof startEcho>[0], {
      args: ['start', '--data', data],
      workers: 2,
      accessLog: 'off',
    });
  });
  after(async () => {
    for (const end of ends) await end();
  });

  /** Puts a Route with the echo behind it. */
  const route = (id: string, more: object = {}) =>
    sluice.put(`routes/${id}`, { uri: `/${id}`, upstream: { nodes }, ...more });
  const mocking = (text: string, more: object = {}) => ({ mocking: { response_example: text, ...more } });

  test('_meta.disable switches a Binding off', async () => {
    await route('disabled', { plugins: { 'key-auth': { _meta: { disable: true } } } });
    assert.equal((await sluice.call('/disabled')).status, 200);
    await route('disabled', { plugins: { 'key-auth': { _meta: { disable: false } } } });
    assert.equal((await sluice.call('/disabled')).status, 401);
  });

  test('_meta.priority changes the order within a phase', async () => {
    const plugins = (priority: number) => ({
      'ip-restriction': { blacklist: ['127.0.0.1'], _meta: { priority } },
      'fault-injection': { abort: { http_status: 418 } },
    });
    await route('order', { plugins: plugins(1) });
    assert.equal((await sluice.call('/order')).status, 418, 'fault-injection runs first');
    const { bindings } = (await sluice.admin('GET', 'routes/order/effective')).json();
    assert.deepEqual(
      bindings.map(({ plugin }: { plugin: string }) => plugin),
      ['fault-injection', 'ip-restriction'],
    );
  });

  test('_meta.filter runs a Binding only where it holds', async () => {
    await route('filtered', {
      plugins: {
        'fault-injection': { abort: { http_status: 418 }, _meta: { filter: [['arg_tea', '==', 'yes']] } },
      },
    });
    assert.equal((await sluice.call('/filtered?tea=yes')).status, 418);
    assert.equal((await sluice.call('/filtered?tea=no')).status, 200);
  });

  test('_meta.error_response replaces what a Binding refuses with', async () => {
    const error = { message: 'members only' };
    await route('refused', { plugins: { 'key-auth': { _meta: { error_response: error } } } });
    const answer = await sluice.call('/refused');
    assert.deepEqual([answer.status, answer.json()], [401, error]);
  });

  test('global rules hold for every request, also where no Route is', async () => {
    await route('anywhere');
    await sluice.put('global_rules/marks', {
      plugins: { 'response-rewrite': { headers: { set: { 'X-Global': 'yes' } } } },
    });
    await sluice.put('global_rules/blocks', {
      plugins: { 'fault-injection': { abort: { http_status: 418, vars: [[['arg_block', '==', '1']]] } } },
    });
    assert.equal((await sluice.call('/anywhere')).headers['x-global'], 'yes');
    const missing = await sluice.call('/no-route-here');
    assert.deepEqual([missing.status, missing.headers['x-global']], [404, 'yes']);
    assert.equal((await sluice.call('/no-route-here?block=1')).status, 418);
    await sluice.admin('DELETE', 'global_rules/blocks');
    await sluice.admin('DELETE', 'global_rules/marks');
    assert.equal((await sluice.call('/anywhere')).headers['x-global'], undefined);
  });

  test('a Consumer wins over its group, over Route, plugin config and Service, and /effective agrees', async () => {
    // Each place sets the Upstream's X-Place; the last one left wins when the others are taken away.
    const rewrite = (place: string) => ({ 'proxy-rewrite': { headers: { set: { 'X-Place': place } } } });
    const auth = { 'key-auth': {} };
    await sluice.put('services/s', { upstream: { nodes }, plugins: { ...rewrite('services'), ...auth } });
    await sluice.put('plugin_configs/p', { plugins: rewrite('plugin_configs') });
    await sluice.put('consumer_groups/g', { plugins: rewrite('consumer_groups') });
    await sluice.put('consumers', { username: 'ann', group_id: 'g', plugins: rewrite('consumers') });
    await sluice.put('consumers/ann/credentials/c', { plugins: { 'key-auth': { key: 'ann-key' } } });
    await sluice.put('routes/places', {
      uri: '/places',
      service_id: 's',
      plugin_config_id: 'p',
      plugins: rewrite('routes'),
    });
    const winner = async (): Promise<(string | undefined)[]> => {
      const answer = await sluice.call('/places', { headers: { apikey: 'ann-key' } });
      const { bindings } = (await sluice.admin('GET', 'routes/places/effective?consumer=ann')).json();
      const binding = bindings.find(({ plugin }: { plugin: string }) => plugin === 'proxy-rewrite');
      return [fieldOf(answer.json().rawHeaders, 'X-Place'), binding.place.kind];
    };
    assert.deepEqual(await winner(), ['consumers', 'consumers']);
    await sluice.put('consumers', { username: 'ann', group_id: 'g' });
    assert.deepEqual(await winner(), ['consumer_groups', 'consumer_groups']);
    await sluice.put('consumers', { username: 'ann' });
    assert.deepEqual(await winner(), ['routes', 'routes']);
    await sluice.put('routes/places', { uri: '/places', service_id: 's', plugin_config_id: 'p' });
    assert.deepEqual(await winner(), ['plugin_configs', 'plugin_configs']);
    await sluice.put('plugin_configs/p', { plugins: { cors: {} } });
    assert.deepEqual(await winner(), ['services', 'services']);
    await sluice.put('services/s', { upstream: { nodes }, plugins: { ...rewrite('changed'), ...auth } });
    assert.deepEqual(await winner(), ['changed', 'services']);
    assert.equal((await sluice.call('/places')).status, 401, 'the Service asks for a key');
  });

  test('a group of Consumers shares what it limits and how, as soon as it changes', async () => {
    const limit = (count: number) => ({
      plugins: { 'limit-count': { count, time_window: 600, rejected_code: 429, group: 'team' } },
    });
    await sluice.put('consumer_groups/team', limit(2));
    for (const name of ['t1', 't2']) {
      await sluice.put('consumers', {
        username: name,
        group_id: 'team',
        plugins: { 'key-auth': { key: `${name}-key` } },
      });
    }
    await route('team', { plugins: { 'key-auth': {} } });
    const statuses = [];
    for (const name of ['t1', 't2', 't1', 't2'])
      statuses.push((await sluice.call('/team', { headers: { apikey: `${name}-key` } })).status);
    assert.deepEqual(statuses, [200, 200, 429, 429]);
    await sluice.put('consumer_groups/team', { plugins: { cors: {} } });
    assert.equal((await sluice.call('/team', { headers: { apikey: 't1-key' } })).status, 200);
  });

  test('the hosts of a Service hold for its Routes that name none', async () => {
    await sluice.put('services/hosted', { hosts: ['a.example', '*.b.example'], upstream: { nodes } });
    await sluice.put('routes/hosted', { uri: '/hosted', service_id: 'hosted' });
    await sluice.put('routes/hosted-own', { uri: '/hosted-own', host: 'c.example', service_id: 'hosted' });
    const status = async (uri: string, Host: string) =>
      (await sluice.call(uri, { headers: { Host } })).status;
    assert.deepEqual(
      [
        await status('/hosted', 'a.example'),
        await status('/hosted', 'x.b.example:80'),
        await status('/hosted', 'c.example'),
      ],
      [200, 200, 404],
    );
    assert.deepEqual(
      [await status('/hosted-own', 'c.example'), await status('/hosted-own', 'a.example')],
      [200, 404],
    );
    await sluice.put('services/hosted', { hosts: ['c.example'], upstream: { nodes } });
    assert.deepEqual(
      [await status('/hosted', 'a.example'), await status('/hosted', 'c.example')],
      [404, 200],
    );
  });

  test('a Route with status 0 takes no traffic until it is switched on', async () => {
    await route('switched', { status: 0 });
    assert.equal((await sluice.call('/switched')).status, 404);
    await sluice.admin('PATCH', 'routes/switched', { status: 1 });
    assert.equal((await sluice.call('/switched')).status, 200);
    await sluice.admin('PATCH', 'routes/switched/status', '0');
    assert.equal((await sluice.call('/switched')).status, 404);
  });

  test('PATCH merges, removes with null, and replaces at a path; traffic follows at once', async () => {
    await route('patched', { plugins: mocking('one') });
    const patch = async (what: string, body: unknown): Promise<Answer> => {
      const answer = await sluice.admin('PATCH', what, body);
      assert.equal(answer.status, 200, answer.body);
      return sluice.call('/patched');
    };
    assert.equal((await patch('routes/patched', { plugins: mocking('two') })).body, 'two');
    assert.equal(
      (await patch('routes/patched/plugins', mocking('three', { response_status: 202 }))).status,
      202,
    );
    assert.equal((await patch('routes/patched', { plugins: { mocking: null } })).json().url, '/patched');
    const bad = await sluice.admin('PATCH', 'routes/patched', {
      plugins: { mocking: { response_status: 'no' } },
    });
    assert.equal(bad.status, 400);
    assert.equal((await sluice.call('/patched')).json().url, '/patched', 'nothing of it is applied');
  });

  test('what has a time to live leaves traffic when it is over', async () => {
    const answer = await sluice.admin('PUT', 'routes/mortal?ttl=1', {
      uri: '/mortal',
      plugins: mocking('still here'),
    });
    assert.equal(answer.status, 201, answer.body);
    assert.equal((await sluice.call('/mortal')).body, 'still here');
    await eventually('it is gone', async () => (await sluice.call('/mortal')).status === 404);
    assert.equal((await sluice.admin('GET', 'routes/mortal')).status, 404);
  });

  test('what is in use is deleted by force only', async () => {
    await sluice.put('upstreams/used', { nodes });
    await sluice.put('routes/user', { uri: '/user', upstream_id: 'used' });
    const refused = await sluice.admin('DELETE', 'upstreams/used');
    assert.equal(refused.status, 400);
    assert.equal(
      refused.json().error_msg,
      'can not delete this upstream, route [user] is still using it now',
    );
    assert.equal((await sluice.call('/user')).status, 200);
    assert.equal((await sluice.admin('DELETE', 'upstreams/used?force=true')).status, 200);
    const orphan = await sluice.call('/user');
    assert.ok(orphan.status >= 500 && orphan.status < 600, orphan.body);
    await sluice.put('upstreams/used', { nodes });
    assert.equal((await sluice.call('/user')).status, 200, 'it works again when it is back');
  });

  test('a changed Upstream or Plugin metadata reaches the Routes that use it', async (t) => {
    const other = await startEcho(t);
    await sluice.put('upstreams/moved', { nodes });
    await sluice.put('services/moved', { upstream_id: 'moved' });
    await sluice.put('routes/moved', {
      uri: '/moved',
      service_id: 'moved',
      plugins: { 'limit-count': { count: 100, time_window: 600 } },
    });
    assert.equal((await sluice.call('/moved')).json().upstream, upstream.port);
    await sluice.put('upstreams/moved', { nodes: { [other.address]: 1 } });
    assert.equal((await sluice.call('/moved')).json().upstream, other.port);
    assert.equal(
      (await sluice.call('/moved')).headers['x-ratelimit-remaining'],
      '97',
      'counters outlive the change',
    );
    await sluice.put('plugin_metadata/limit-count', { limit_header: 'X-Mine' });
    assert.equal((await sluice.call('/moved')).headers['x-mine'], '100');
  });

  test('a deleted Consumer or Credential is refused at once', async () => {
    await route('members', { plugins: { 'key-auth': {} } });
    await sluice.put('consumers', { username: 'gone', plugins: { 'key-auth': { key: 'gone-key' } } });
    await sluice.put('consumers/gone/credentials/second', { plugins: { 'key-auth': { key: 'second-key' } } });
    const status = async (apikey: string) => (await sluice.call('/members', { headers: { apikey } })).status;
    assert.deepEqual([await status('gone-key'), await status('second-key')], [200, 200]);
    await sluice.put('consumers', { username: 'gone', plugins: { 'key-auth': { key: 'new-key' } } });
    assert.deepEqual(
      [await status('gone-key'), await status('new-key'), await status('second-key')],
      [401, 200, 200],
    );
    assert.equal((await sluice.admin('DELETE', 'consumers/gone')).status, 200);
    assert.deepEqual([await status('new-key'), await status('second-key')], [401, 401]);
    await sluice.put('consumers', { username: 'gone' });
    assert.equal(await status('second-key'), 401, 'the Credential did not wait for the name to come back');
  });
});
