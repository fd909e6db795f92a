import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind, checkConfig, ManualClock, NaiveBreakers } from '../../plugin/testing.ts';
import { apiBreaker } from './api-breaker.ts';

const base = { break_response_code: 503 };

function fixture(config: Record<string, unknown> = {}) {
  const clock = new ManualClock();
  const breaker = bind(apiBreaker, { ...base, ...config }, { clock });
  const ask = async (status: number, path = '/', upstreamStatus: string | undefined = undefined) => {
    const { reply, response } = await breaker.request(
      { target: path },
      {
        upstream: { status },
        ...(upstreamStatus !== undefined && { variables: { upstream_status: upstreamStatus } }),
      },
    );
    return reply === undefined ? response.status : `broken ${response.status}`;
  };
  return { clock, breaker, ask };
}

test('opens for 2, then 4 seconds after as many failures as configured, path by path', async () => {
  const { clock, ask } = fixture({ unhealthy: { failures: 2 } });
  assert.equal(await ask(500), 500);
  assert.equal(await ask(503), 503, 'no status that counts');
  assert.equal(await ask(500), 500);
  assert.equal(await ask(200), 'broken 503');
  assert.equal(await ask(200, '/other'), 200);
  clock.advance(2000);
  assert.equal(await ask(500), 500);
  assert.equal(await ask(500), 500);
  clock.advance(3999);
  assert.equal(await ask(200), 'broken 503');
  clock.advance(1);
  assert.equal(await ask(200), 200);
});

test('successes make failures forgotten', async () => {
  const { ask } = fixture({
    unhealthy: { failures: 2 },
    healthy: { successes: 2, http_statuses: [200, 201] },
  });
  for (const status of [500, 200, 201, 500, 404, 200]) assert.equal(await ask(status), status);
  assert.equal(await ask(500), 500, 'the second failure after the last forgetting');
  assert.equal(await ask(200), 'broken 503');
});

test('answers with the configured body, and with the fields where there is one', async () => {
  const headers = [{ key: 'X-Why', value: 'broken for $remote_addr' }];
  const whole = fixture({
    unhealthy: { failures: 1 },
    break_response_body: 'later',
    break_response_headers: headers,
  });
  await whole.ask(500);
  const { response } = await whole.breaker.request({ clientAddress: '192.0.2.7' });
  assert.equal(response.body, 'later');
  assert.equal(response.headers['x-why'], 'broken for 192.0.2.7');
  const bare = fixture({ unhealthy: { failures: 1 }, break_response_headers: headers });
  await bare.ask(500);
  assert.equal((await bare.breaker.request()).response.headers['x-why'], undefined);
});

test('with unhealthy-ratio, a share of failures on any path opens it, and probes close it', async () => {
  const { clock, ask } = fixture({
    policy: 'unhealthy-ratio',
    max_breaker_sec: 10,
    unhealthy: { error_ratio: 0.5, min_request_threshold: 4, half_open_max_calls: 2 },
    healthy: { success_ratio: 0.5 },
  });
  for (const [index, status] of [200, 500, 404, 500].entries())
    assert.equal(await ask(status, `/${index}`), status);
  assert.equal(await ask(200), 'broken 503');
  clock.advance(10_000);
  assert.equal(await ask(404), 404, 'neither success nor failure, but an end');
  assert.equal(await ask(200), 200);
  for (const status of [500, 500, 200]) assert.equal(await ask(status), status, 'it has closed');
});

test('a request that no Target answered counts by the status that stands for it', async () => {
  const { ask } = fixture({ unhealthy: { failures: 1, http_statuses: [502] } });
  assert.equal(await ask(200, '/', '502'), 200);
  assert.equal(await ask(200), 'broken 503');
});

test('shares its state with other workers and with what comes after a reload', async () => {
  const clock = new ManualClock();
  const breakers = new NaiveBreakers(clock);
  const config = { ...base, unhealthy: { failures: 1 } };
  await bind(apiBreaker, config, { clock, breakers }).request({}, { upstream: { status: 500 } });
  assert.equal((await bind(apiBreaker, config, { clock, breakers }).request()).response.status, 503);
});

test('refuses what APISIX refuses', () => {
  const good = (config: Record<string, unknown>) => assert.equal(checkConfig(apiBreaker, config), undefined);
  const bad = (config: Record<string, unknown>, text: RegExp) =>
    assert.match(String(checkConfig(apiBreaker, config)), text);
  good(base);
  good({ ...base, unhealthy: { http_statuses: [500, 503], failures: 1 }, healthy: { successes: 1 } });
  bad({}, /break_response_code/);
  bad({ break_response_code: 199 }, /break_response_code/);
  bad({ ...base, max_breaker_sec: 2 }, /max_breaker_sec/);
  bad({ ...base, unhealthy: { http_statuses: [499] } }, /http_statuses/);
  bad({ ...base, healthy: { http_statuses: [500] } }, /http_statuses/);
  bad({ ...base, healthy: { http_statuses: [200, 200] } }, /http_statuses/);
  bad({ ...base, policy: 'consecutive' }, /policy/);
  bad({ ...base, unhealthy: { sliding_window_size: 9 } }, /sliding_window_size/);
});
