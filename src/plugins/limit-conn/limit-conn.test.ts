import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionView } from '../../plugin/exchange.ts';
import type { Reply } from '../../plugin/reply.ts';
import { bind, checkConfig, ManualClock, NaiveLimits, type RunResult, run } from '../../plugin/testing.ts';
import { limitConn } from './limit-conn.ts';

const base = { conn: 1, burst: 0, default_conn_delay: 0.1, key: 'remote_addr', rejected_code: 429 };

/** Sends `count` requests of which none ends before all are there or refused. */
async function together(
  config: Record<string, unknown>,
  count: number,
  limits = new NaiveLimits(new ManualClock()),
): Promise<{ results: RunResult[]; limits: NaiveLimits }> {
  const limit = bind(limitConn, config, { limits });
  const results: RunResult[] = [];
  const send = async (left: number): Promise<void> => {
    if (left === 0) return;
    let sent = false;
    const result = await limit.request(
      {},
      {
        upstream: async () => {
          sent = true;
          await send(left - 1);
          return {};
        },
      },
    );
    results.push(result);
    if (!sent) await send(left - 1);
  };
  await send(count);
  return { results, limits };
}

function statuses(results: readonly RunResult[]): number[] {
  return results.map(({ response }) => response.status).sort();
}

function delays(results: readonly RunResult[]): number[] {
  return results
    .flatMap(({ delays }) => delays)
    .map(Math.round)
    .sort((a, b) => a - b);
}

test('refuses more requests at once than configured, and lets everyone leave', async () => {
  const { results, limits } = await together(base, 3);
  assert.deepEqual(statuses(results), [200, 429, 429]);
  assert.deepEqual([...limits.inside.values()], [0]);
});

test('lets requests in again after others have ended', async () => {
  const limit = bind(limitConn, base);
  for (let times = 0; times < 3; times++) assert.equal((await limit.request()).reply, undefined);
});

test('delays those within the burst', async () => {
  const { results } = await together({ ...base, conn: 2, burst: 2 }, 5);
  assert.deepEqual(statuses(results), [200, 200, 200, 200, 429]);
  assert.deepEqual(delays(results), [100, 100]);
});

test('delays longer the more there are, or all alike', async () => {
  const crowd = { ...base, conn: 1, burst: 3 };
  // Each result lists the delays of the requests inside it too, so the longest comes from the whole run.
  const proportional = bind(limitConn, crowd, { limits: new NaiveLimits(new ManualClock()) });
  const alike = bind(
    limitConn,
    { ...crowd, only_use_default_delay: true },
    { limits: new NaiveLimits(new ManualClock()) },
  );
  for (const limit of [proportional, alike]) {
    const nested = (left: number): Promise<RunResult> =>
      limit.request(
        {},
        {
          upstream: async () => {
            if (left > 1) await nested(left - 1);
            return {};
          },
        },
      );
    await nested(4);
  }
  assert.deepEqual(proportional.kit.delays, [100, 200, 300]);
  assert.deepEqual(alike.kit.delays, [100, 100, 100]);
});

test('leaves exactly once when the Upstream fails', async () => {
  const limits = new NaiveLimits(new ManualClock());
  const limit = bind(limitConn, base, { limits });
  const upstream = () => Promise.reject(new Error('upstream failed'));
  await assert.rejects(limit.request({}, { upstream }), /upstream failed/);
  assert.deepEqual([...limits.inside.values()], [0]);
});

test('leaves also when the answer of a far counter comes after the end', async () => {
  const near = new NaiveLimits(new ManualClock());
  const { promise, resolve } = Promise.withResolvers<void>();
  const limits = Object.assign(Object.create(near), {
    enter: async (key: string, maximum: number) => {
      await promise;
      return near.enter(key, maximum);
    },
  });
  const { handlers } = bind(limitConn, base, { limits });
  const slots = new Map<unknown, unknown>();
  const exchange = {
    get: (slot: unknown) => slots.get(slot),
    set: (slot: unknown, value: unknown) => void slots.set(slot, value),
    variable: () => '192.0.2.1',
  } as never;
  const entering = handlers.access?.(exchange);
  handlers.log?.(exchange);
  resolve();
  await entering;
  assert.deepEqual([...near.inside.values()], [0]);
});

test('counts each key by itself', async () => {
  const limits = new NaiveLimits(new ManualClock());
  const limit = bind(limitConn, { ...base, key_type: 'var_combination', key: '$consumer_name' }, { limits });
  let inner: RunResult | undefined;
  const outer = await limit.request(
    {},
    {
      consumer: 'a',
      upstream: async () => {
        inner = await limit.request({}, { consumer: 'b' });
        return {};
      },
    },
  );
  assert.deepEqual([outer.response.status, inner?.response.status], [200, 200]);
});

test('applies several rules and leaves those it had entered when a later one refuses', async () => {
  const rules = [
    { conn: 5, burst: 0, key: '$remote_addr' },
    { conn: '$http_x_most', burst: '0', key: '$route_id' },
  ];
  const limits = new NaiveLimits(new ManualClock());
  const limit = bind(limitConn, { default_conn_delay: 0.1, rules }, { limits });
  const headers = { 'X-Most': '1' };
  let inner: RunResult | undefined;
  await limit.request(
    { headers },
    {
      upstream: async () => {
        inner = await limit.request({ headers });
        return {};
      },
    },
  );
  assert.equal(inner?.response.status, 503);
  assert.deepEqual([...limits.inside.values()], [0, 0]);
});

test('answers 500 for numbers that are none, and when the counters fail', async () => {
  const config = { ...base, conn: '$http_x_most' };
  assert.equal((await run(limitConn, config)).response.status, 500);
  assert.equal((await run(limitConn, { ...config, allow_degradation: true })).response.status, 200);
  const limits = Object.assign(Object.create(new NaiveLimits(new ManualClock())), {
    enter: () => Promise.reject(new Error('connection lost')),
  });
  assert.equal((await run(limitConn, base, {}, { limits })).response.status, 500);
  const degraded = await run(limitConn, { ...base, allow_degradation: true }, {}, { limits });
  assert.equal(degraded.response.status, 200);
});

test('answers a refused request with the configured text', async () => {
  const { results } = await together({ ...base, rejected_code: 503, rejected_msg: 'busy' }, 2);
  const refused = results.find(({ reply }) => reply !== undefined);
  assert.equal(refused?.response.body, '{"error_msg":"busy"}\n');
});

test('says what is wrong with a config', () => {
  assert.equal(checkConfig(limitConn, base), undefined);
  assert.equal(
    checkConfig(limitConn, { conn: 1, burst: 0, default_conn_delay: 1 }),
    'value should match only one schema, but matches none',
  );
  assert.equal(checkConfig(limitConn, {}), 'property "default_conn_delay" is required');
  assert.equal(
    checkConfig(limitConn, {
      conn: 1,
      default_conn_delay: 1,
      rules: [{ conn: 1, burst: 0, key: '$remote_addr' }],
    }),
    'conn/burst and rules cannot be specified at the same time',
  );
  assert.equal(checkConfig(limitConn, { ...base, policy: 'redis' }), 'then clause did not match');
  assert.equal(checkConfig(limitConn, { ...base, policy: 'redis', redis_host: '127.0.0.1' }), undefined);
});

test('counts connections of stream routes until their end', () => {
  const { handlers } = bind(limitConn, { conn: 1, burst: 0, default_conn_delay: 1, key: 'remote_addr' });
  const connection = (address: string): ConnectionView => {
    const slots = new Map<unknown, unknown>();
    return {
      get: (slot: unknown) => slots.get(slot),
      set: (slot: unknown, value: unknown) => slots.set(slot, value),
      variable: (name: string) => (name === 'remote_addr' ? address : undefined),
    } as unknown as ConnectionView;
  };
  const [first, second, other] = [connection('a'), connection('a'), connection('b')];
  assert.equal(handlers.connect!(first), undefined);
  assert.equal((handlers.connect!(second) as Reply).status, 503);
  handlers.disconnect!(second);
  assert.equal(handlers.connect!(other), undefined);
  assert.equal((handlers.connect!(connection('a')) as Reply).status, 503);
  handlers.disconnect!(first);
  assert.equal(handlers.connect!(connection('a')), undefined);
});
