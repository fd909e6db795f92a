import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind, checkConfig, ManualClock, NaiveLimits, run } from '../../plugin/testing.ts';
import { limitReq } from './limit-req.ts';

const one = { rate: 1, burst: 0, rejected_code: 429, key_type: 'var', key: 'remote_addr' };

test('refuses what is above rate and burst', async () => {
  const clock = new ManualClock();
  const limit = bind(limitReq, one, { clock });
  assert.equal((await limit.request()).reply, undefined);
  const refused = await limit.request();
  assert.equal(refused.response.status, 429);
  assert.equal(refused.reply?.body, undefined, 'the house has an error page for it');
  assert.equal(refused.response.headers['retry-after'], '1');
  clock.advance(1000);
  assert.equal((await limit.request()).reply, undefined);
});

test('delays what is within the burst to the steady rate', async () => {
  const limit = bind(limitReq, { ...one, rate: 2, burst: 3 }, { limits: new NaiveLimits(new ManualClock()) });
  const delays: (readonly number[])[] = [];
  const statuses: number[] = [];
  for (let times = 0; times < 5; times++) {
    const result = await limit.request();
    delays.push(result.delays);
    statuses.push(result.response.status);
  }
  assert.deepEqual(delays, [[], [500], [1000], [1500], []]);
  assert.deepEqual(statuses, [200, 200, 200, 200, 429]);
});

test('lets the burst through at once with nodelay', async () => {
  const limit = bind(limitReq, { ...one, burst: 1, nodelay: true });
  assert.deepEqual((await limit.request()).delays, []);
  const second = await limit.request();
  assert.deepEqual(second.delays, []);
  assert.equal(second.reply, undefined);
  assert.equal((await limit.request()).response.status, 429);
});

test('counts each key by itself, and by address where it has no value', async () => {
  const limit = bind(limitReq, { ...one, key_type: 'var_combination', key: '$consumer_name' });
  assert.equal((await limit.request({}, { consumer: 'a' })).reply, undefined);
  assert.equal((await limit.request({}, { consumer: 'b' })).reply, undefined);
  assert.equal((await limit.request()).reply, undefined);
  assert.equal((await limit.request()).response.status, 429);
});

test('answers 503 with the configured text', async () => {
  const limit = bind(limitReq, { rate: 1, burst: 0, key: 'remote_addr', rejected_msg: 'too fast' });
  await limit.request();
  const { response } = await limit.request();
  assert.equal(response.status, 503);
  assert.equal(response.body, '{"error_msg":"too fast"}\n');
});

test('waits for counters that are far away', async () => {
  const near = new NaiveLimits(new ManualClock());
  const limits = Object.assign(Object.create(near), {
    leakyBucket: async (...args: Parameters<NaiveLimits['leakyBucket']>) => near.leakyBucket(...args),
  });
  const limit = bind(limitReq, { ...one, burst: 1 }, { limits });
  assert.deepEqual((await limit.request()).delays, []);
  assert.deepEqual((await limit.request()).delays, [1000]);
  assert.equal((await limit.request()).response.status, 429);
});

test('answers 500 when the counters fail, unless degradation is allowed', async () => {
  const limits = Object.assign(Object.create(new NaiveLimits(new ManualClock())), {
    leakyBucket: () => Promise.reject(new Error('connection lost')),
  });
  const { response, log } = await run(limitReq, one, {}, { limits });
  assert.equal(response.status, 500);
  assert.equal(log[0].message, 'failed to limit req');
  const degraded = await run(limitReq, { ...one, allow_degradation: true }, {}, { limits });
  assert.equal(degraded.response.status, 200);
});

test('takes the policies of APISIX', () => {
  const cluster = { redis_cluster_nodes: ['127.0.0.1:7000'], redis_cluster_name: 'c' };
  assert.equal(checkConfig(limitReq, { ...one, policy: 'redis-cluster', ...cluster }), undefined);
  assert.equal(checkConfig(limitReq, { ...one, policy: 'redis' }), 'then clause did not match');
});
