import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { validate } from '../../lib/json-schema.ts';
import { bind, checkConfig, run } from '../../plugin/testing.ts';
import { faultInjection } from './fault-injection.ts';

async function share(config: Record<string, unknown>, count: number): Promise<number> {
  const bound = bind(faultInjection, config);
  let hits = 0;
  for (let index = 0; index < count; index++) {
    const { reply, delays } = await bound.request();
    if (reply !== undefined || delays.length > 0) hits++;
  }
  return hits / count;
}

describe('abort', () => {
  test('answers instead of the Upstream', async () => {
    const { reply, response } = await run(
      faultInjection,
      {
        abort: {
          http_status: 503,
          body: 'sorry $remote_addr',
          headers: { 'X-Fault': 'from $host', 'X-N': 1 },
        },
      },
      { clientAddress: '203.0.113.9', host: 'a.test' },
      { upstream: () => assert.fail('asked the Upstream') },
    );
    assert.equal(reply?.status, 503);
    assert.equal(response.body, 'sorry 203.0.113.9');
    assert.equal(response.headers['x-fault'], 'from a.test');
    assert.equal(response.headers['x-n'], '1');
  });

  test('without a body has the error page of the house', async () => {
    const { reply } = await run(faultInjection, { abort: { http_status: 500 } });
    assert.equal(reply?.body, undefined);
  });

  test('meets only requests that fulfil one of its expressions', async () => {
    const vars = [
      [
        ['arg_name', '==', 'jack'],
        ['arg_age', '==', '18'],
      ],
      [['http_x_age', '==', '20']],
    ];
    const config = { abort: { http_status: 403, vars } };
    const status = async (target: string, headers: Record<string, string> = {}) =>
      (await run(faultInjection, config, { target, headers })).response.status;
    assert.equal(await status('/?name=jack&age=18'), 403);
    assert.equal(await status('/?name=jack'), 200);
    assert.equal(await status('/', { 'x-age': '20' }), 403);
  });

  test('meets its share of requests', async () => {
    const of = (percentage: number) => share({ abort: { http_status: 500, percentage } }, 1000);
    assert.equal(await of(0), 0);
    assert.equal(await of(100), 1);
    const third = await of(33);
    assert.ok(third > 0.27 && third < 0.39, String(third));
  });

  test('lets no line break of a variable into the head', async () => {
    const config = { abort: { http_status: 500, headers: { 'X-A': '$arg_q' } } };
    const { response } = await run(faultInjection, config, { target: '/?q=1%0D%0AX-Evil:%202' });
    assert.equal(response.headers['x-a'], '1  X-Evil: 2');
  });
});

describe('delay', () => {
  test('waits and goes on', async () => {
    const { delays, reply } = await run(faultInjection, { delay: { duration: 0.25 } });
    assert.deepEqual(delays, [250]);
    assert.equal(reply, undefined);
  });

  test('comes before an abort', async () => {
    const config = { delay: { duration: 1 }, abort: { http_status: 418 } };
    const { delays, reply } = await run(faultInjection, config);
    assert.deepEqual(delays, [1000]);
    assert.equal(reply?.status, 418);
  });

  test('has its own expressions and share', async () => {
    const config = {
      delay: { duration: 1, vars: [[['arg_slow', '==', '1']]] },
      abort: { http_status: 418, percentage: 0 },
    };
    assert.deepEqual((await run(faultInjection, config)).delays, []);
    assert.deepEqual((await run(faultInjection, config, { target: '/?slow=1' })).delays, [1000]);
    assert.equal(await share({ delay: { duration: 1, percentage: 0 } }, 20), 0);
  });
});

test('a config with a malformed expression is refused', () => {
  const vars = [[['arg_name', '???', 'jack']]];
  for (const config of [{ abort: { http_status: 500, vars } }, { delay: { duration: 1, vars } }]) {
    assert.match(checkConfig(faultInjection, config) ?? '', /invalid operator/);
  }
});

test('the schema wants a fault, whole', () => {
  const refusal = (config: object) => validate(faultInjection.config, config)?.message;
  assert.equal(refusal({}), 'expect object to have at least 1 properties');
  assert.equal(
    refusal({ abort: {} }),
    'property "abort" validation failed: property "http_status" is required',
  );
  assert.equal(refusal({ delay: {} }), 'property "delay" validation failed: property "duration" is required');
  assert.match(
    refusal({ abort: { http_status: 500, percentage: 101 } }) ?? '',
    /expected 101 to be at most 100/,
  );
});
