// Upstreams that fail for longer: breakers, budgets, and the time that all attempts have together.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ManualClock, NaiveBreakers } from '../../src/plugin/testing.ts';
import { allocateSharedState, SharedState } from '../../src/state/memory/shared-state.ts';
import { Gateway, type GatewayOptions, route } from '../support/gateway.ts';
import { OK, RawClient, RawUpstream, type UpstreamScript } from '../support/raw.ts';
import { field, rawCall } from '../support/raw-call.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

async function start(t: TestContext, script: UpstreamScript = {}): Promise<RawUpstream> {
  const upstream = await RawUpstream.start(script);
  t.after(() => upstream.close());
  return upstream;
}

const silent: UpstreamScript = { onRequest: () => undefined };
const dying: UpstreamScript = { onRequest: ({ connection }) => void connection.socket.end() };

async function statuses(gateway: Gateway, count: number): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await rawCall(gateway.port, GET)).status);
  return found;
}

function serve(
  t: TestContext,
  ports: readonly number[],
  upstream: object,
  more: Partial<GatewayOptions> = {},
) {
  return Gateway.start(t, { routes: [route('all', ports, { upstream })], ...more });
}

test('all attempts together end at the timeout in total, and the Target is let go', async (t) => {
  const [one, other] = [await start(t, silent), await start(t, silent)];
  const gateway = await serve(t, [one.port, other.port], {
    timeout: { connect: 1, send: 1, read: 0.2, total: 0.3 },
  });
  const answer = await rawCall(gateway.port, GET);
  assert.equal(answer.status, 504);
  const [record] = await gateway.recorded(1);
  assert.deepEqual([record.reason, record.attempts], ['total_timeout', 2]);
  assert.equal(other.requests.length, 1);
});

test('the timeout in total is for an answer to begin: a long one that has begun goes on', async (t) => {
  const slow = await start(t, {
    onRequest({ connection }) {
      connection.write(OK.slice(0, -1));
      setTimeout(() => connection.write(OK.slice(-1)), 250);
    },
  });
  const gateway = await serve(t, [slow.port], { timeout: { connect: 1, send: 1, read: 1, total: 0.1 } });
  assert.equal((await rawCall(gateway.port, GET)).body.toString(), 'ok');
  const [record] = await gateway.recorded(1);
  assert.deepEqual([record.reason, record.status], ['', 200]);
});

test('a Target whose name has no address is passed over for the next', async (t) => {
  const good = await start(t);
  const nodes = [
    { host: 'nowhere.invalid', port: 80, weight: 1 },
    { host: '127.0.0.1', port: good.port, weight: 1 },
  ];
  const gateway = await serve(
    t,
    [],
    { nodes },
    {
      resolver: {
        addresses: () => undefined,
        resolve: () => Promise.reject(new Error('no such name')),
        watch: () => () => {},
      },
    },
  );
  assert.equal((await rawCall(gateway.port, GET)).status, 200);
  const [record] = await gateway.recorded(1);
  assert.equal(record.attempts, 2);
});

test('when every Target fails, retries are a fifth of the requests after the first ones', async (t) => {
  const upstreams = [await start(t, dying), await start(t, dying), await start(t, dying)];
  const gateway = await serve(
    t,
    upstreams.map(({ port }) => port),
    {},
  );
  const count = 100;
  assert.deepEqual(new Set(await statuses(gateway, count)), new Set([502]));
  const attempts = upstreams.reduce((sum, { requests }) => sum + requests.length, 0);
  assert.ok(attempts <= count * 1.2 + 10, `${attempts} attempts`);
  assert.ok(attempts > count * 1.1, `${attempts} attempts`);
});

test('a budget of nothing allows no retry, a large one all', async (t) => {
  const ports = [(await start(t, dying)).port, (await start(t, dying)).port, (await start(t)).port];
  const none = await serve(t, ports, { retry_budget: { percent: 0, reserve: 0 } });
  assert.deepEqual(await statuses(none, 3), [502, 502, 502]);
  const all = await serve(t, ports, { retry_budget: { percent: 200 } });
  assert.deepEqual(new Set(await statuses(all, 60)), new Set([200]));
});

test('retries past a Target that fails use up nothing', async (t) => {
  const ports = [(await start(t, dying)).port, (await start(t)).port];
  const gateway = await serve(t, ports, { retry_budget: { percent: 0, reserve: 1 } });
  assert.deepEqual(new Set(await statuses(gateway, 50)), new Set([200]));
});

test('the requests that were under way to a Target when it died are all retried', async (t) => {
  const held: { end(): void }[] = [];
  const dies = await start(t, { onRequest: ({ connection }) => void held.push(connection.socket) });
  const good = await start(t);
  const gateway = await serve(t, [dies.port, good.port], {});
  const answers = Array.from({ length: 60 }, () => rawCall(gateway.port, GET));
  while (held.length < 60) await new Promise((resolve) => setImmediate(resolve));
  for (const socket of held) socket.end();
  assert.deepEqual(new Set((await Promise.all(answers)).map(({ status }) => status)), new Set([200]));
});

const BREAKER = { failure_percent: 50, min_requests: 4, open_seconds: 10 };

async function fickle(t: TestContext) {
  const state = { answer: OK, hold: false };
  const upstream = await start(t, {
    onRequest({ connection }) {
      if (!state.hold) connection.write(state.answer);
    },
  });
  const clock = new ManualClock();
  const breakers = new NaiveBreakers(clock);
  const gateway = await serve(t, [upstream.port], { circuit_breaker: BREAKER }, { breakers });
  return { state, upstream, clock, gateway };
}
const FAILED = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n';

test('a breaker that is open answers 503 with Retry-After, and the Upstream hears nothing', async (t) => {
  const { state, upstream, clock, gateway } = await fickle(t);
  state.answer = FAILED;
  assert.deepEqual(await statuses(gateway, 4), [503, 503, 503, 503]);
  clock.advance(2500);
  const answer = await rawCall(gateway.port, GET);
  assert.equal(answer.status, 503);
  assert.equal(field(answer, 'Retry-After'), '8');
  assert.equal(upstream.requests.length, 4);
  const records = await gateway.recorded(5);
  assert.deepEqual([records[4].reason, records[4].attempts], ['circuit_open', 0]);
});

test('half-open, one request is sent; the others wait for what becomes of it', async (t) => {
  const { state, upstream, clock, gateway } = await fickle(t);
  state.answer = FAILED;
  await statuses(gateway, 4);
  clock.advance(10_000);
  state.hold = true;
  const probe = await RawClient.connect(gateway.port);
  t.after(() => probe.destroy());
  probe.write(GET);
  while (upstream.requests.length < 5) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await statuses(gateway, 3), [503, 503, 503]);
  assert.equal(upstream.requests.length, 5);
  // The client of the probe goes away: it told nothing, and another request may.
  probe.destroy();
  state.hold = false;
  state.answer = OK;
  await gateway.recorded(8);
  assert.deepEqual(await statuses(gateway, 3), [200, 200, 200]);
});

test('a failed probe opens it again', async (t) => {
  const { state, upstream, clock, gateway } = await fickle(t);
  state.answer = FAILED;
  await statuses(gateway, 4);
  clock.advance(10_000);
  await statuses(gateway, 3);
  assert.equal(upstream.requests.length, 5);
});

test('no answer counts as a failure for the breaker', async (t) => {
  const upstream = await start(t, dying);
  const gateway = await serve(t, [upstream.port], { circuit_breaker: BREAKER });
  assert.deepEqual(await statuses(gateway, 6), [502, 502, 502, 502, 503, 503]);
  assert.equal(upstream.requests.length, 4);
});

test('passive checks hear of statuses, timeouts and broken connections', async (t) => {
  const cases: readonly (readonly [string, UpstreamScript])[] = [
    ['http_failure', { onRequest: ({ connection }) => void connection.write(FAILED) }],
    ['timeout_failure', silent],
    ['tcp_failure', dying],
  ];
  const state = new SharedState(allocateSharedState({ workers: 1, healthSlots: 64 }));
  for (const [counter, script] of cases) {
    const bad = await start(t, script);
    const good = await start(t);
    const unhealthy = { http_failures: 9, tcp_failures: 9, timeouts: 9 };
    const gateway = await serve(
      t,
      [bad.port, good.port],
      { timeout: { connect: 1, send: 1, read: 0.1 }, checks: { passive: { unhealthy } } },
      { health: state.health },
    );
    await statuses(gateway, 2);
    const seen = state.health.target('routes/all', `127.0.0.1:${bad.port}`).counter;
    assert.deepEqual(
      Object.entries(seen).filter(([, count]) => count > 0),
      [[counter, 2]],
    );
    assert.equal(state.health.target('routes/all', `127.0.0.1:${good.port}`).status, 'healthy');
  }
});
