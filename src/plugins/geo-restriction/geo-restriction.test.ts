import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Value } from '../../model/resource.ts';
import { checkConfig, run } from '../../plugin/testing.ts';
import { geoRestriction } from './geo-restriction.ts';

const GERMANY = { geoip2_country_code: 'DE', geoip2_continent_code: 'EU', geoip2_asn: '64500' };
const JAPAN = { geoip2_country_code: 'JP', geoip2_continent_code: 'AS', geoip2_asn: '64501' };

async function passes(config: Value, variables: Record<string, string>): Promise<boolean> {
  return (await run(geoRestriction, config, {}, { variables })).reply === undefined;
}

for (const [what, places] of Object.entries({
  countries: { countries: ['de'] },
  continents: { continents: ['EU'] },
  asns: { asns: [64500] },
  'one of several lists': { countries: ['FR'], asns: [64500] },
})) {
  test(`knows places by ${what}`, async () => {
    assert.equal(await passes({ allow: places }, GERMANY), true);
    assert.equal(await passes({ allow: places }, JAPAN), false);
    assert.equal(await passes({ deny: places }, GERMANY), false);
    assert.equal(await passes({ deny: places }, JAPAN), true);
  });
}

test('refuses what is denied, also where it is allowed', async () => {
  const config = { allow: { continents: ['EU'] }, deny: { countries: ['DE'] } };
  assert.equal(await passes(config, GERMANY), false);
  assert.equal(await passes(config, { ...GERMANY, geoip2_country_code: 'FR' }), true);
});

describe('addresses of which nothing is known', () => {
  test('are refused by a list of allowed places, and pass a list of denied ones', async () => {
    assert.equal(await passes({ allow: { countries: ['DE'] } }, {}), false);
    assert.equal(await passes({ deny: { countries: ['DE'] } }, {}), true);
    assert.equal(await passes({ allow: { countries: ['DE'] }, deny: { asns: [1] } }, {}), false);
  });

  test('get what the config says', async () => {
    assert.equal(await passes({ allow: { countries: ['DE'] }, unknown: 'allow' }, {}), true);
    assert.equal(await passes({ deny: { countries: ['DE'] }, unknown: 'deny' }, {}), false);
  });

  test('are those of which the lists ask for something else', async () => {
    const { geoip2_asn: _, ...country } = JAPAN;
    assert.equal(await passes({ deny: { asns: [64500] }, unknown: 'deny' }, country), false);
    // What is known is enough to let them through.
    assert.equal(await passes({ allow: { countries: ['JP'], asns: [1] } }, country), true);
  });
});

test('says what it is told to say', async () => {
  const config = { deny: { countries: ['DE'] }, rejected_code: 451, message: 'not here' };
  const { reply } = await run(geoRestriction, config, {}, { variables: GERMANY });
  assert.deepEqual(
    [reply?.status, reply?.body, reply?.reason],
    [451, '{"message":"not here"}\n', 'geo_denied'],
  );
});

test('refuses a config that says nothing, or names what is no place', () => {
  assert.match(checkConfig(geoRestriction, {}) ?? '', /"allow" and "deny"/);
  assert.match(checkConfig(geoRestriction, { allow: {} }) ?? '', /allow/);
  assert.match(checkConfig(geoRestriction, { deny: { countries: ['Germany'] } }) ?? '', /countries/);
  assert.match(checkConfig(geoRestriction, { deny: { continents: ['XX'] } }) ?? '', /continents/);
});
