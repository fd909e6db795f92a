import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeoLookup } from './geo-lookup.ts';
import { writeMmdb } from './mmdb-writer.fixture.ts';

const city = writeMmdb({
  '192.0.2.0/24': {
    continent: { code: 'EU' },
    country: { iso_code: 'DE', names: { en: 'Germany' } },
    subdivisions: [{ iso_code: 'BE', names: { en: 'Land Berlin' } }],
    city: { names: { en: 'Berlin' } },
    postal: { code: '10115' },
    location: { latitude: 52.5, longitude: -13.25, time_zone: 'Europe/Berlin' },
  },
  '2001:db8::/32': { country: { iso_code: 'JP' } },
  '198.51.100.7/32': { traits: { is_anonymous: true } },
});
const networks = writeMmdb(
  { '192.0.2.128/25': { autonomous_system_number: 64500, autonomous_system_organization: 'Example Net' } },
  'Test-ASN',
);

test('finds what is known of an address', () => {
  assert.deepEqual(
    { ...new GeoLookup([city]).lookup('192.0.2.7') },
    {
      continent_code: 'EU',
      country_code: 'DE',
      country_name: 'Germany',
      subdivision_code: 'BE',
      subdivision_name: 'Land Berlin',
      city_name: 'Berlin',
      postal_code: '10115',
      latitude: '52.5',
      longitude: '-13.25',
      time_zone: 'Europe/Berlin',
    },
  );
});

test('knows IPv6, and networks to the bit', () => {
  const lookup = new GeoLookup([city, networks]);
  assert.equal(lookup.lookup('2001:db8:1::1')?.country_code, 'JP');
  assert.equal(lookup.lookup('2001:db9::1'), undefined);
  assert.equal(lookup.lookup('192.0.2.127')?.asn, undefined);
  assert.deepEqual({ ...lookup.lookup('192.0.2.128') }.asn, '64500');
});

test('puts together what several databases know', () => {
  const place = new GeoLookup([city, networks]).lookup('192.0.2.200');
  assert.deepEqual([place?.country_code, place?.organization], ['DE', 'Example Net']);
});

test('knows nothing of other addresses, nor of what is none', () => {
  const lookup = new GeoLookup([city]);
  for (const address of ['203.0.113.1', '198.51.100.7', '::1', 'unix:', '']) {
    assert.equal(lookup.lookup(address), undefined, address);
    assert.equal(lookup.lookup(address), undefined, address);
  }
});

describe('refuses', () => {
  const refused = (bytes: Buffer, why: RegExp) => assert.throws(() => new GeoLookup([bytes]), why);
  test('what is no database', () => {
    refused(Buffer.from('<html>404</html>'), /not a MaxMind DB file/);
    refused(Buffer.alloc(0), /not a MaxMind DB file/);
  });
  test('a file without its end', () => refused(city.subarray(0, city.length - 400), /end is missing/));
  test('a file without its beginning', () => refused(city.subarray(1200), /tree/));
  test('a damaged tree', () => {
    const damaged = Buffer.from(city);
    damaged.fill(0x7f, 0, damaged.indexOf(Buffer.alloc(16)) + 8);
    refused(damaged, /damaged|can't be read/);
  });
  test('metadata that make no sense', () => {
    const damaged = Buffer.from(city);
    damaged.fill(0xff, damaged.lastIndexOf('MaxMind.com') + 11);
    refused(damaged, /metadata can't be read/);
  });
});
