import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Limits, LimitVerdict } from '../../plugin/limits.ts';
import { bind, checkConfig, ManualClock, NaiveLimits, run } from '../../plugin/testing.ts';
import { limitCount } from './limit-count.ts';

const two = { count: 2, time_window: 60, rejected_code: 429, key_type: 'var', key: 'consumer_name' };

function quota(headers: Readonly<Record<string, string>>): (string | undefined)[] {
  return ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'].map((name) => headers[name]);
}

test('allows as many requests as configured, and tells the quota', async () => {
  const clock = new ManualClock();
  const limit = bind(limitCount, two, { clock });
  const first = await limit.request({}, { consumer: 'acme' });
  assert.equal(first.response.status, 200);
  assert.deepEqual(quota(first.response.headers), ['2', '1', '60']);
  clock.advance(5);
  const second = await limit.request({}, { consumer: 'acme' });
  assert.equal(second.response.status, 200);
  assert.deepEqual(quota(second.response.headers), ['2', '0', '59.99']);
  for (let times = 0; times < 2; times++) {
    const refused = await limit.request({}, { consumer: 'acme' });
    assert.equal(refused.response.status, 429);
    assert.equal(refused.reply?.body, undefined, 'the house has an error page for it');
    assert.deepEqual(quota(refused.response.headers), ['2', '0', '59.99']);
    assert.equal(refused.response.headers['retry-after'], '60');
  }
});

test('counts each key by itself', async () => {
  const limit = bind(limitCount, two);
  for (const consumer of ['acme', 'acme', 'jane', 'jane']) {
    assert.equal((await limit.request({}, { consumer })).reply, undefined);
  }
  assert.equal((await limit.request({}, { consumer: 'acme' })).response.status, 429);
});

test('starts afresh when the window has ended', async () => {
  const clock = new ManualClock();
  const limit = bind(limitCount, { count: 1, time_window: 60 }, { clock });
  assert.equal((await limit.request()).reply, undefined);
  clock.advance(59_999);
  assert.equal((await limit.request()).response.status, 503);
  clock.advance(1);
  assert.equal((await limit.request()).reply, undefined);
});

test('a sliding window counts the one before in proportion', async () => {
  const clock = new ManualClock();
  const limit = bind(limitCount, { count: 2, time_window: 60, window_type: 'sliding' }, { clock });
  const statuses: number[] = [];
  for (const wait of [0, 0, 60_000, 40_000]) {
    clock.advance(wait);
    statuses.push((await limit.request()).response.status);
  }
  assert.deepEqual(statuses, [200, 200, 503, 200]);
});

test('answers a refused request with the configured text and no quota', async () => {
  const config = {
    count: 1,
    time_window: 60,
    rejected_msg: 'slow down',
    key_type: 'var',
    key: 'remote_addr',
    show_limit_quota_header: false,
  };
  const limit = bind(limitCount, config);
  assert.deepEqual(quota((await limit.request()).response.headers), [undefined, undefined, undefined]);
  const { response } = await limit.request();
  assert.equal(response.status, 503);
  assert.equal(response.body, '{"error_msg":"slow down"}\n');
  assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
  assert.deepEqual(quota(response.headers), [undefined, undefined, undefined]);
  assert.equal(response.headers['retry-after'], undefined);
});

test('counts by the client address where the key has no value', async () => {
  const limit = bind(limitCount, { ...two, count: 1 });
  assert.equal((await limit.request({ clientAddress: '198.51.100.1' })).reply, undefined);
  assert.equal((await limit.request({ clientAddress: '198.51.100.2' })).reply, undefined);
  assert.equal((await limit.request({ clientAddress: '198.51.100.1' })).response.status, 429);
});

test('counts by a combination of variables', async () => {
  const limit = bind(limitCount, {
    count: 1,
    time_window: 60,
    key_type: 'var_combination',
    key: '$consumer_name $http_x_region',
  });
  const ask = async (consumer: string, region: string) =>
    (await limit.request({ headers: { 'X-Region': region } }, { consumer })).response.status;
  assert.deepEqual(
    [await ask('a', 'x'), await ask('a', 'y'), await ask('b', 'x'), await ask('a', 'x')],
    [200, 200, 200, 503],
  );
});

test('counts everyone together under a constant', async () => {
  const limit = bind(limitCount, { count: 1, time_window: 60, key_type: 'constant', key: 'all' });
  assert.equal((await limit.request({ clientAddress: '198.51.100.1' })).reply, undefined);
  assert.equal((await limit.request({ clientAddress: '198.51.100.2' })).response.status, 503);
});

test('Bindings of a group count together, others apart', async () => {
  const limits = new NaiveLimits(new ManualClock());
  const config = { count: 1, time_window: 60, group: 'g' };
  const first = bind(limitCount, config, { limits, stateKey: 'first' });
  const second = bind(limitCount, config, { limits, stateKey: 'second' });
  assert.equal((await first.request()).reply, undefined);
  assert.equal((await second.request()).response.status, 503);
  const alone = { count: 1, time_window: 60 };
  assert.equal((await bind(limitCount, alone, { limits, stateKey: 'third' }).request()).reply, undefined);
  assert.equal((await bind(limitCount, alone, { limits, stateKey: 'fourth' }).request()).reply, undefined);
});

test('takes quota and window from variables', async () => {
  const limit = bind(limitCount, { count: '$http_x_quota', time_window: '$http_x_window' });
  const headers = { 'X-Quota': '3', 'X-Window': '10' };
  assert.deepEqual(quota((await limit.request({ headers })).response.headers), ['3', '2', '10']);
  for (const bad of ['', 'many', '0', '-1', '1.5', '9007199254740992']) {
    const { response } = await limit.request({ headers: { ...headers, 'X-Quota': bad } });
    assert.equal(response.status, 500, bad);
  }
});

test('a text with a number is a number, any other text refuses every request', async () => {
  assert.equal((await run(limitCount, { count: '5', time_window: '60' })).response.status, 200);
  assert.equal((await run(limitCount, { count: 'many', time_window: 60 })).response.status, 500);
});

const rules = {
  rules: [
    { count: 1, time_window: 60, key: '$remote_addr' },
    { count: 1, time_window: 10, key: 'user $http_x_user', header_prefix: 'User' },
  ],
};

test('applies several rules, each with fields of its own', async () => {
  const limit = bind(limitCount, rules);
  const { response } = await limit.request({ headers: { 'X-User': 'a' } });
  assert.equal(response.headers['x-1-ratelimit-limit'], '1');
  assert.equal(response.headers['x-1-ratelimit-reset'], '60');
  assert.equal(response.headers['x-user-ratelimit-remaining'], '0');
  assert.equal(response.headers['x-user-ratelimit-reset'], '10');
  const other = await limit.request({ headers: { 'X-User': 'a' }, clientAddress: '198.51.100.9' });
  assert.equal(other.response.status, 503, 'the second rule refuses');
  assert.equal(other.response.headers['x-1-ratelimit-remaining'], '0', 'the first rule had counted');
});

test('leaves out a rule whose variables have no value', async () => {
  const limit = bind(limitCount, rules);
  const { response } = await limit.request();
  assert.equal(response.headers['x-user-ratelimit-limit'], undefined);
  assert.equal(response.headers['x-1-ratelimit-limit'], '1');
});

test('answers 500 when no rule applies, unless degradation is allowed', async () => {
  const config = { rules: [{ count: 1, time_window: 60, key: '$http_x_user' }] };
  assert.equal((await run(limitCount, config)).response.status, 500);
  assert.equal((await run(limitCount, { ...config, allow_degradation: true })).response.status, 200);
});

test('takes the names of the fields from the metadata', async () => {
  const metadata = { limit_header: 'X-Quota', reset_header: 'X-Quota-Reset' };
  const { response } = await run(limitCount, two, {}, { metadata });
  assert.equal(response.headers['x-quota'], '2');
  assert.equal(response.headers['x-ratelimit-remaining'], '1');
  assert.equal(response.headers['x-quota-reset'], '60');
  assert.equal(response.headers['x-ratelimit-limit'], undefined);
});

test('sends the standard fields when asked to', async () => {
  const { response } = await run(limitCount, { count: 5, time_window: 60, rate_limit_fields: true });
  assert.equal(response.headers['ratelimit-policy'], '"default";q=5;w=60');
  assert.equal(response.headers.ratelimit, '"default";r=4;t=60');
  const both = await run(
    limitCount,
    { ...rules, rate_limit_fields: true, show_limit_quota_header: false },
    { headers: { 'X-User': 'a' } },
  );
  assert.equal(both.response.headers.ratelimit, '"1";r=0;t=60, "User";r=0;t=10');
  assert.equal(both.response.headers['x-1-ratelimit-limit'], undefined);
});

/** Counters on another machine: promises, or nothing but errors. */
function remote(limits: Limits, failing = false): Limits {
  const far = async (verdict: () => LimitVerdict | Promise<LimitVerdict>) => {
    await Promise.resolve();
    if (failing) throw new Error('connection lost');
    return verdict();
  };
  return {
    fixedWindow: (...args) => far(() => limits.fixedWindow(...args)),
    slidingWindow: (...args) => far(() => limits.slidingWindow(...args)),
    leakyBucket: (...args) => far(() => limits.leakyBucket(...args)),
    enter: (...args) => limits.enter(...args),
    leave: (...args) => limits.leave(...args),
  };
}

test('waits for counters that are far away', async () => {
  const limit = bind(limitCount, rules, { limits: remote(new NaiveLimits(new ManualClock())) });
  const headers = { 'X-User': 'a' };
  const first = await limit.request({ headers });
  assert.equal(first.response.headers['x-1-ratelimit-remaining'], '0');
  assert.equal(first.response.headers['x-user-ratelimit-remaining'], '0');
  assert.equal((await limit.request({ headers })).response.status, 503);
});

test('answers 500 when the counters fail, unless degradation is allowed', async () => {
  const limits = remote(new NaiveLimits(new ManualClock()), true);
  const { response, log } = await run(limitCount, two, {}, { limits });
  assert.equal(response.status, 500);
  assert.equal(response.body, '{"error_msg":"failed to limit count"}\n');
  assert.equal(log[0].fields.error, 'Error: connection lost');
  const degraded = await run(limitCount, { ...two, allow_degradation: true }, {}, { limits });
  assert.equal(degraded.response.status, 200);
});

test('says what is wrong with a config', () => {
  const base = { count: 1, time_window: 60 };
  const rule = { ...base, key: '$remote_addr' };
  assert.equal(checkConfig(limitCount, base), undefined);
  const none = 'value should match only one schema, but matches none';
  assert.equal(checkConfig(limitCount, { time_window: 60 }), none);
  assert.equal(checkConfig(limitCount, { ...base, count: 0 }), `property "count" validation failed: ${none}`);
  assert.equal(
    checkConfig(limitCount, { count: 1, rules: [rule] }),
    'count/time_window and rules cannot be specified at the same time',
  );
  assert.equal(checkConfig(limitCount, { ...base, policy: 'redis' }), 'then clause did not match');
  assert.equal(checkConfig(limitCount, { rules: [rule] }), undefined);
  assert.equal(checkConfig(limitCount, { rules: [rule, rule] }), "duplicate key '$remote_addr' in rules");
  assert.equal(
    checkConfig(limitCount, { rules: [rule], group: 'g' }),
    'group and rules cannot be specified at the same time',
  );
  const redis = { ...base, policy: 'redis', redis_host: '127.0.0.1' };
  assert.equal(checkConfig(limitCount, redis), undefined);
  assert.match(checkConfig(limitCount, { ...redis, sync_interval: 1 }) ?? '', /^sync_interval: /);
  const cluster = { ...base, policy: 'redis-cluster', redis_cluster_name: 'c' };
  assert.equal(
    checkConfig(limitCount, { ...cluster, redis_cluster_nodes: ['127.0.0.1:7000', '[::1]:7000', 'node'] }),
    undefined,
  );
  assert.equal(
    checkConfig(limitCount, { ...cluster, redis_cluster_nodes: ['127.0.0.1:70000'] }),
    'redis_cluster_nodes: "127.0.0.1:70000" is not an address; write it as host:port',
  );
  const sentinel = {
    ...base,
    policy: 'redis-sentinel',
    redis_sentinels: [{ host: '127.0.0.1', port: 26_379 }],
    redis_master_name: 'm',
  };
  assert.equal(checkConfig(limitCount, sentinel), undefined);
  assert.match(checkConfig(limitCount, { ...sentinel, redis_role: 'slave' }) ?? '', /^redis_role slave: /);
});
