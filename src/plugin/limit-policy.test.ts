import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definePlugin } from './define-plugin.ts';
import { limitPolicy, type PolicyFields } from './limit-policy.ts';
import { LimitsUnavailable, type SharedLimits, type SharedLimitsOptions } from './limits.ts';
import { TestKit } from './testing/test-kit.ts';
import { ManualClock, NaiveLimits } from './testing.ts';

const plugin = definePlugin({ name: 'a', summary: '', priority: 1, config: {}, create: () => ({}) } as never);

function bind(fields: Partial<PolicyFields>) {
  const asked: SharedLimitsOptions[] = [];
  let released = 0;
  const shared: SharedLimits = Object.assign(new NaiveLimits(new ManualClock()), {
    release: () => released++,
  });
  const kit = new TestKit(plugin, {
    sharedLimits: (options) => {
      asked.push(options);
      return shared;
    },
  });
  const config = { policy: 'redis', redis_host: 'redis.example', allow_degradation: false, ...fields };
  return { policy: limitPolicy(config, kit), kit, asked, shared, released: () => released };
}

test('local counters are the Kit’s own, and nothing else is asked for', () => {
  const { policy, kit, asked } = bind({ policy: 'local' });
  assert.equal(policy.limits, kit.limits);
  assert.equal(policy.dispose, undefined);
  assert.equal(asked.length, 0);
});

test('shared ones are asked for with what the config says, and released when the Binding goes', () => {
  const { policy, asked, shared, released } = bind({ key_ttl: 7, redis_password: '', redis_database: 2 });
  assert.equal(policy.limits, shared);
  assert.deepEqual(asked, [
    {
      redis: {
        kind: 'single',
        addresses: [{ host: 'redis.example', port: 6379 }],
        masterName: '',
        username: undefined,
        password: undefined,
        sentinelUsername: undefined,
        sentinelPassword: undefined,
        database: 2,
        tls: false,
        verify: false,
        connectTimeoutMs: 1000,
        decisionTimeoutMs: 50,
      },
      stayTtlSeconds: 7,
      countLocally: false,
    },
  ]);
  policy.dispose?.();
  assert.equal(released(), 1);
});

test('nobody waits longer for a decision than for an answer', () => {
  assert.equal(bind({ redis_timeout: 20 }).asked[0].redis.decisionTimeoutMs, 20);
  assert.equal(bind({ redis_decision_timeout: 200 }).asked[0].redis.decisionTimeoutMs, 200);
});

test('a failure lets pass or refuses as the config chose, with APISIX’s field where ours says nothing', () => {
  for (const [fields, open] of [
    [{}, false],
    [{ allow_degradation: true }, true],
    [{ allow_degradation: true, on_redis_failure: 'refuse' }, false],
    [{ on_redis_failure: 'allow' }, true],
    [{ on_redis_failure: 'count_locally' }, false],
  ] as const) {
    const { policy, asked } = bind(fields);
    assert.equal(policy.failsOpen('failed', new Error('x')), open, JSON.stringify(fields));
    assert.equal(asked[0].countLocally, fields.on_redis_failure === 'count_locally');
  }
});

test('Redis’s absence is not written into the log for each request, anything else is', () => {
  const { policy, kit } = bind({});
  policy.failsOpen('failed to limit', new LimitsUnavailable('gone'));
  assert.equal(kit.lines.length, 0);
  policy.failsOpen('failed to limit', new Error('a bug'));
  assert.deepEqual(kit.lines[0].fields, { error: 'Error: a bug' });
});
