import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, run } from '../../plugin/testing.ts';
import { consumerRestriction } from './consumer-restriction.ts';

const jane = { consumer: { username: 'jane', groupId: 'staff' }, serviceId: 's1', routeId: 'r1' };

async function status(
  config: Record<string, unknown>,
  options: Parameters<typeof run>[3] = jane,
  method = 'GET',
): Promise<number> {
  return (await run(consumerRestriction, config, { method }, options)).response.status;
}

test('refuses who is on the blacklist', async () => {
  const { response } = await run(consumerRestriction, { blacklist: ['jane'] }, {}, jane);
  assert.equal(response.status, 403);
  assert.equal(response.body, '{"message":"The consumer_name is forbidden."}\n');
  assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(await status({ blacklist: ['bob'] }), 200);
});

test('refuses who is not on the whitelist', async () => {
  assert.equal(await status({ whitelist: ['bob'] }), 403);
  assert.equal(await status({ whitelist: ['bob', 'jane'] }), 200);
});

test('the blacklist comes before the whitelist', async () => {
  assert.equal(await status({ whitelist: ['jane'], blacklist: ['jane'] }), 403);
});

for (const [type, value] of [
  ['consumer_name', 'jane'],
  ['consumer_group_id', 'staff'],
  ['service_id', 's1'],
  ['route_id', 'r1'],
] as const) {
  test(`looks at the ${type}`, async () => {
    assert.equal(await status({ type, whitelist: [value] }), 200);
    const { response } = await run(consumerRestriction, { type, blacklist: [value] }, {}, jane);
    assert.equal(response.body, `{"message":"The ${type} is forbidden."}\n`);
  });
}

for (const type of ['consumer_name', 'consumer_group_id', 'service_id']) {
  test(`refuses a request without a ${type}, even when it is only not to be on a blacklist`, async () => {
    const { response } = await run(consumerRestriction, { type, blacklist: ['x'] });
    assert.equal(response.status, 401);
    assert.equal(
      response.body,
      `{"message":"The request is rejected, please check the ${type} for this request"}\n`,
    );
  });
}

test('allows methods by caller; who has no entry may use all', async () => {
  const config = { allowed_by_methods: [{ user: 'jane', methods: ['GET', 'HEAD'] }] };
  assert.equal(await status(config, jane, 'GET'), 200);
  assert.equal(await status(config, jane, 'POST'), 403);
  assert.equal(await status(config, { consumer: 'bob' }, 'POST'), 200);
});

test('who is on the whitelist may use any method, who is not may use none', async () => {
  const config = { whitelist: ['jane'], allowed_by_methods: [{ user: 'bob', methods: ['GET'] }] };
  assert.equal(await status(config, jane, 'DELETE'), 200);
  assert.equal(await status(config, { consumer: 'bob' }, 'GET'), 403);
});

test('answers with the configured status and message', async () => {
  const config = { blacklist: ['jane'], rejected_code: 404, rejected_msg: 'nothing here' };
  const { response } = await run(consumerRestriction, config, {}, jane);
  assert.equal(response.status, 404);
  assert.equal(response.body, '{"message":"nothing here"}\n');
});

test('says what is wrong with a config', () => {
  assert.match(checkConfig(consumerRestriction, {}) ?? '', /^object matches none of the required/);
  assert.equal(
    checkConfig(consumerRestriction, { type: 'colour', whitelist: ['red'] }),
    'property "type" validation failed: matches none of the enum values',
  );
});
