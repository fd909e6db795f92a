import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { validate, withDefaults } from '../../lib/json-schema.ts';
import { upstream as upstreamSchema } from '../../model/upstream.ts';
import { bind, checkConfig, run, type TestRequest } from '../../plugin/testing.ts';
import { trafficSplit } from './traffic-split.ts';
import { weightedChoice } from './weighted-choice.ts';

const OWN = 'own';

/** How many of `count` requests went where; the Route's own Upstream is `own`. */
async function spread(
  rules: unknown,
  count: number,
  request: TestRequest = {},
): Promise<Record<string, number>> {
  const bound = bind(trafficSplit, { rules });
  const counts: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const { upstream } = await bound.request(request);
    const key = upstream?.key ?? OWN;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

describe('weights', () => {
  test('split traffic exactly', async () => {
    const rules = [{ weighted_upstreams: [{ upstream_id: 'canary', weight: 10 }, { weight: 90 }] }];
    assert.deepEqual(await spread(rules, 1000), { canary: 100, own: 900 });
  });

  test('of 0 get nothing', async () => {
    const rules = [
      {
        weighted_upstreams: [
          { upstream_id: 'off', weight: 0 },
          { upstream_id: 7, weight: 1 },
        ],
      },
    ];
    assert.deepEqual(await spread(rules, 50), { 7: 50 });
  });

  test('are 1 where nothing is said', async () => {
    assert.deepEqual(await spread([{ weighted_upstreams: [{ upstream_id: 'a' }, {}] }], 10), {
      a: 5,
      own: 5,
    });
  });

  test('take an Upstream written in place', async () => {
    const upstream = { nodes: { '127.0.0.1:1': 1 } };
    const config = { rules: [{ weighted_upstreams: [{ upstream }] }] };
    const { upstream: chosen } = await run(trafficSplit, config);
    assert.deepEqual(chosen?.value, withDefaults(upstreamSchema, upstream));
  });
});

describe('rules', () => {
  const rules = [
    {
      match: [{ vars: [['http_x_release', '==', 'next']] }, { vars: [['arg_beta', '==', '1']] }],
      weighted_upstreams: [{ upstream_id: 'next' }],
    },
    { match: [{ vars: [['arg_b', '==', '2']] }], weighted_upstreams: [{ upstream_id: 'second' }] },
  ];

  test('apply when one of their matches does', async () => {
    assert.deepEqual(await spread(rules, 2, { headers: { 'x-release': 'next' } }), { next: 2 });
    assert.deepEqual(await spread(rules, 2, { target: '/?beta=1' }), { next: 2 });
  });

  test('are looked at in order', async () => {
    assert.deepEqual(await spread(rules, 1, { target: '/?beta=1&b=2' }), { next: 1 });
    assert.deepEqual(await spread(rules, 1, { target: '/?b=2' }), { second: 1 });
  });

  test('that do not apply leave the request where it was', async () => {
    assert.deepEqual(await spread(rules, 2), { own: 2 });
    assert.deepEqual(await spread([], 2), { own: 2 });
  });

  test('without a match apply always, and count by themselves', async () => {
    const halves = [{ weighted_upstreams: [{ upstream_id: 'a' }, { upstream_id: 'b' }] }];
    assert.deepEqual(await spread([...rules, ...halves], 10), { a: 5, b: 5 });
    assert.deepEqual(await spread([{ match: [], weighted_upstreams: [{ upstream_id: 'a' }] }], 1), { a: 1 });
  });
});

describe('stickiness', () => {
  const rules = (weight: number, sticky_by = 'cookie_user') => [
    { sticky_by, weighted_upstreams: [{ upstream_id: 'canary', weight }, { weight: 100 - weight }] },
  ];
  const users = Array.from({ length: 200 }, (_, index) => `u${index}`);
  const canaries = async (weight: number) => {
    const bound = bind(trafficSplit, { rules: rules(weight) });
    const inside: string[] = [];
    for (const user of users) {
      const ways = new Set<string | undefined>();
      for (let i = 0; i < 3; i++)
        ways.add((await bound.request({ headers: { cookie: `user=${user}` } })).upstream?.key);
      assert.equal(ways.size, 1);
      if (ways.has('canary')) inside.push(user);
    }
    return inside;
  };

  test('sends the same user the same way, and those who have come stay as the share grows', async () => {
    const [few, more] = [await canaries(20), await canaries(50)];
    assert.ok(few.length > 20 && few.length < 60, String(few.length));
    assert.ok(more.length > 70 && more.length < 130, String(more.length));
    assert.deepEqual(
      few.filter((user) => !more.includes(user)),
      [],
    );
  });

  test('holds for a combination of variables', async () => {
    const config = rules(50, '$cookie_user-$http_x_device');
    const headers = { cookie: 'user=a', 'x-device': 'b' };
    assert.equal(Object.keys(await spread(config, 20, { headers })).length, 1);
  });

  test('leaves requests without a value to the shares', async () => {
    assert.deepEqual(await spread(rules(25), 100), { canary: 25, own: 75 });
  });
});

test('an Upstream that does not exist refuses the configuration', () => {
  const config = { rules: [{ weighted_upstreams: [{ upstream_id: 'gone' }] }] };
  assert.throws(() => bind(trafficSplit, config, { upstreams: [] }), { name: 'ConfigError' });
});

test('a malformed expression is refused', () => {
  const config = { rules: [{ match: [{ vars: [['arg_a', '???', 1]] }] }] };
  assert.match(
    checkConfig(trafficSplit, config) ?? '',
    /^failed to validate the 'vars' expression: invalid operator/,
  );
});

describe('a config', () => {
  const refusal = (rule: unknown) => validate(trafficSplit.config, { rules: [rule] })?.message ?? '';

  test('that names no Upstream at all stays with the own one', () => {
    assert.deepEqual(withDefaults(trafficSplit.config, { rules: [{}] }), {
      rules: [{ weighted_upstreams: [{ weight: 1 }] }],
    });
  });

  test('with what is no share, no Upstream or no rule is refused', () => {
    assert.match(refusal({ weighted_upstreams: [] }), /expect array to have at least 1 items/);
    assert.match(refusal({ weighted_upstreams: [{ weight: -1 }] }), /expected -1 to be at least 0/);
    assert.match(
      refusal({ weighted_upstreams: [{ upstream: { nodes: { 'a:1': 'x' } } }] }),
      /validation failed/,
    );
    assert.match(refusal({ wieghted: [] }), /additional properties forbidden, found wieghted/);
  });

  test('with an Upstream that is wrong in itself is refused', () => {
    const upstream = { nodes: { '127.0.0.1:1': 1 }, pass_host: 'rewrite' };
    assert.match(
      checkConfig(trafficSplit, { rules: [{ weighted_upstreams: [{ upstream }] }] }) ?? '',
      /upstream_host/,
    );
  });
});

describe('weightedChoice', () => {
  test('gives each candidate its weight in every run of the total', () => {
    const weights = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(weights, (weights) => {
        const choose = weightedChoice(weights.map((weight, value) => ({ value, weight })));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        assert.equal(choose === undefined, total === 0);
        for (let round = 0; round < 2 && choose; round++) {
          const counts = weights.map(() => 0);
          for (let index = 0; index < total; index++) counts[choose()]++;
          assert.deepEqual(counts, weights);
        }
      }),
    );
  });

  test('spreads instead of sending in bursts', () => {
    const choose = weightedChoice([
      { value: 'a', weight: 5 },
      { value: 'b', weight: 1 },
      { value: 'c', weight: 1 },
    ]);
    assert.equal(Array.from({ length: 7 }, () => choose?.()).join(''), 'aabacaa');
  });
});
