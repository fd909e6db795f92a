import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Value } from '../../model/resource.ts';
import { bind, checkConfig, ManualClock, PlainNumbers } from '../../plugin/testing.ts';
import { type Objectives, Rollout } from './rollout.ts';
import { sloCanary } from './slo-canary.ts';

const OBJECTIVES: Objectives = {
  steps: [5, 50],
  intervalMs: 1000,
  minRequests: 20,
  maxErrorRate: undefined,
  maxErrorRateIncrease: undefined,
  percentile: 95,
  maxLatencyMs: undefined,
  maxLatencyRatio: undefined,
};

/** Records so many responses of one side, every `failing`th of them a failure; the last decision. */
function record(
  rollout: Rollout,
  canary: boolean,
  requests: number,
  latencyMs: number,
  failing = 0,
  now = 0,
) {
  let last: ReturnType<Rollout['record']>;
  for (let i = 1; i <= requests; i++) {
    last = rollout.record(canary, failing > 0 && i % failing === 0, latencyMs, now) ?? last;
  }
  return last;
}

const rollout = (objectives: Partial<Objectives>) =>
  new Rollout(new PlainNumbers(), 'key', { ...OBJECTIVES, ...objectives });

describe('a canary that keeps its objectives', () => {
  test('advances by its steps to all of the traffic', () => {
    const canary = rollout({ maxErrorRate: 0.01 });
    assert.equal(canary.share, 5);
    assert.equal(record(canary, true, 20, 10)?.outcome, 'started');
    assert.equal(record(canary, true, 1, 10, 0, 999), undefined);
    const advanced = record(canary, true, 1, 10, 0, 1000);
    assert.deepEqual([advanced?.outcome, advanced?.from, advanced?.to], ['advanced', 5, 50]);
    assert.deepEqual(advanced?.canary.requests, 22);
    assert.equal(canary.share, 50);
    const promoted = record(canary, true, 20, 10, 0, 2000);
    assert.deepEqual([promoted?.outcome, promoted?.to], ['promoted', 100]);
    assert.equal(canary.share, 100);
    // What comes now is no longer judged.
    assert.equal(record(canary, true, 100, 10, 1, 9000), undefined);
    assert.equal(canary.share, 100);
  });

  test('waits for enough requests', () => {
    const canary = rollout({ maxErrorRate: 0.01 });
    record(canary, true, 19, 10);
    assert.equal(record(canary, false, 500, 10, 0, 5000), undefined);
    assert.equal(record(canary, true, 1, 10, 0, 5000)?.outcome, 'advanced');
  });
});

describe('a canary is rolled back for good', () => {
  const rolledBack = (canary: Rollout, reason: string, decision: ReturnType<Rollout['record']>) => {
    assert.deepEqual([decision?.outcome, decision?.reason, decision?.to], ['rolled_back', reason, 0]);
    assert.equal(canary.share, 0);
    assert.equal(record(canary, false, 100, 1, 0, 90_000), undefined);
    assert.equal(canary.share, 0);
  };

  test('when it fails too often, before its interval is over', () => {
    const canary = rollout({ maxErrorRate: 0.01 });
    const decision = record(canary, true, 20, 10, 20);
    rolledBack(canary, 'max_error_rate', decision);
    const { latency_ms: _, ...counted } = decision!.canary;
    assert.deepEqual(counted, { requests: 20, errors: 1, error_rate: 0.05 });
  });

  test('when it fails more often than the old version', () => {
    const canary = rollout({ maxErrorRateIncrease: 0.02 });
    record(canary, false, 100, 10, 25);
    assert.equal(record(canary, true, 100, 10, 20), undefined);
    rolledBack(canary, 'max_error_rate_increase', record(canary, true, 10, 10, 1));
  });

  test('when it is slower than it may be', () => {
    const canary = rollout({ maxLatencyMs: 100 });
    record(canary, true, 19, 20);
    rolledBack(canary, 'max_latency', record(canary, true, 3, 500));
  });

  test('when it is slower than the old version', () => {
    const canary = rollout({ maxLatencyRatio: 2 });
    record(canary, false, 50, 20);
    assert.equal(record(canary, true, 30, 25), undefined);
    rolledBack(canary, 'max_latency_ratio', record(canary, true, 30, 80));
  });

  test('but not for a comparison with too few requests', () => {
    const canary = rollout({ maxLatencyRatio: 2, maxErrorRateIncrease: 0 });
    record(canary, false, 19, 1);
    assert.equal(record(canary, true, 30, 500, 2), undefined);
  });
});

test('percentiles are right to a quarter', () => {
  for (const latency of [1, 3, 17, 120, 999, 4500, 30_000]) {
    const canary = rollout({ maxErrorRate: 0 });
    record(canary, true, 20, latency);
    const decision = record(canary, true, 1, latency, 1);
    const found = decision?.canary.latency_ms ?? 0;
    assert.ok(found > latency / 1.26 && found < latency * 1.26, `${found} for ${latency}`);
  }
});

test('all that share the numbers share the decision, which is told once', () => {
  const numbers = new PlainNumbers();
  const [one, other] = [1, 2].map(() => new Rollout(numbers, 'key', { ...OBJECTIVES, maxErrorRate: 0 }));
  record(one, true, 10, 1);
  const decisions = [one, other, one, other].map((worker) => record(worker, true, 5, 1, 5));
  assert.deepEqual(
    decisions.filter((decision) => decision !== undefined).map(({ outcome }) => outcome),
    ['rolled_back'],
  );
  assert.deepEqual([one.share, other.share], [0, 0]);
});

describe('the Plugin', () => {
  const base = { upstream_id: 'next', interval: 60, min_requests: 10, max_error_rate: 0.1 };
  const bound = (config: Value) => {
    const clock = new ManualClock();
    return { clock, plugin: bind(sloCanary, { ...base, ...config }, { clock }) };
  };

  test('sends its share to the new Upstream', async () => {
    const { plugin } = bound({ steps: [25] });
    let canaries = 0;
    for (let i = 0; i < 400; i++) if ((await plugin.request()).upstream?.key === 'next') canaries++;
    assert.ok(canaries > 60 && canaries < 140, String(canaries));
  });

  test('keeps users where they came', async () => {
    const { plugin } = bound({ steps: [50], sticky_by: 'arg_user' });
    for (let user = 0; user < 20; user++) {
      const ways = new Set<string | undefined>();
      for (let i = 0; i < 4; i++)
        ways.add((await plugin.request({ target: `/?user=${user}` })).upstream?.key);
      assert.equal(ways.size, 1);
    }
  });

  test('tells what it decides, with the numbers, and acts on it', async () => {
    const { plugin, clock } = bound({ steps: [50, 100], interval: 1 });
    const upstream = () => {
      clock.advance(4);
      return {};
    };
    for (let i = 0; i < 60; i++) await plugin.request({}, { upstream });
    clock.advance(1000);
    for (let i = 0; i < 30; i++) await plugin.request();
    const failing = { upstream: { status: 503 } };
    for (let i = 0; i < 20; i++) await plugin.request({}, failing);
    assert.equal((await plugin.request()).upstream, undefined);
    const lines = plugin.kit.lines.map(({ level, message }) => `${level} ${message}`);
    assert.deepEqual(lines, ['info canary started', 'info canary advanced', 'warn canary rolled back']);
    assert.equal(plugin.kit.gauges.get('sluice_canary_share'), 0);
    const { fields } = plugin.kit.lines[2];
    assert.deepEqual(
      [fields.route_id, fields.from, fields.to, fields.reason],
      ['test', 100, 0, 'max_error_rate'],
    );
    assert.match(
      JSON.stringify(fields.canary),
      /"requests":\d+,"errors":\d+,"error_rate":0\.\d+,"latency_ms":\d/,
    );
  });

  test('does not judge by requests that another Plugin answered', async () => {
    const { plugin } = bound({ steps: [100] });
    // As in the gateway: no beforeProxy, and a Reply's head.
    const { handlers } = plugin;
    for (let i = 0; i < 30; i++) {
      const slots = new Map<unknown, unknown>();
      const exchange = {
        routeId: 'test',
        get: (key: unknown) => slots.get(key),
        set: (key: unknown, value: unknown) => void slots.set(key, value),
        useUpstream() {},
        variable: () => undefined,
        response: { status: 503, setHeader() {} },
      };
      handlers.access?.(exchange as never);
      handlers.responseHeaders?.(exchange as never);
    }
    assert.deepEqual(plugin.kit.lines, []);
  });

  test('shows a field only where it is told to', async () => {
    assert.equal(
      (await bound({ steps: [100] }).plugin.request()).response.headers['x-sluice-canary'],
      undefined,
    );
    const { plugin } = bound({ steps: [100], show_header: true });
    assert.equal((await plugin.request()).response.headers['x-sluice-canary'], 'canary');
  });

  test('refuses what can decide nothing', () => {
    const refusal = (config: Value) => checkConfig(sloCanary, config) ?? '';
    assert.match(refusal({ upstream_id: 'a' }), /one of max_error_rate, .* is required/);
    assert.match(refusal({ max_error_rate: 0 }), /exactly one of "upstream_id" and "upstream"/);
    assert.match(refusal({ ...base, steps: [5, 5] }), /each step must be above/);
    assert.match(refusal({ ...base, steps: [101] }), /steps/);
    assert.equal(refusal(base), '');
  });
});
