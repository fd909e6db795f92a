import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isObject } from '../lib/json.ts';
import { parseAddress } from './listen-address.ts';
import { checkSettings, defaultSettings, settings } from './settings.ts';

/** The paths of errors, as they are written. */
function errorPaths(written: Record<string, unknown>): string[] {
  return checkSettings(written).errors.map(({ path }) => path.join('.'));
}

describe('an address', () => {
  test('is a host and a port', () => {
    assert.deepEqual(parseAddress('127.0.0.1:9080'), { host: '127.0.0.1', port: 9080 });
    assert.deepEqual(parseAddress('my-host.example:80'), { host: 'my-host.example', port: 80 });
    assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
  });

  test('loses the brackets of IPv6', () => {
    assert.deepEqual(parseAddress('[::1]:9080'), { host: '::1', port: 9080 });
    assert.deepEqual(parseAddress('[2001:db8::1]:80'), { host: '2001:db8::1', port: 80 });
  });

  test('may be a port alone, with or without its colon', () => {
    assert.deepEqual(parseAddress(':9080'), { host: '0.0.0.0', port: 9080 });
    assert.deepEqual(parseAddress('9080'), { host: '0.0.0.0', port: 9080 });
    assert.deepEqual(parseAddress(':9080', '::'), { host: '::', port: 9080 });
  });

  const refusals: readonly (readonly [text: string, reason: RegExp])[] = [
    ['', /it is empty/],
    ['localhost', /the port is missing/],
    ['localhost:', /the port after the colon is missing/],
    ['localhost:http', /port "http" is not a number/],
    ['localhost:-1', /port "-1" is not a number/],
    ['localhost:65536', /port 65536 is greater than 65535/],
    ['::1:9080', /must be in brackets/],
    ['[::1]', /write host:port/],
    ['[::1', /write host:port/],
    ['[::g]:80', /\[::g\] is not an IPv6 address/],
    ['[127.0.0.1]:80', /is not an IPv6 address/],
    ['[::/8]:80', /is not an IPv6 address/],
    ['1.2.3.400:80', /1\.2\.3\.400 is not an IPv4 address/],
    ['http//x:80', /has a character no host has/],
    ['a b:80', /has a character no host has/],
  ];
  for (const [text, reason] of refusals) {
    test(`can't be ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAddress(text), reason);
      assert.throws(() => parseAddress(text), /^Error: invalid address "/);
    });
  }
});

describe('settings', () => {
  test('have a default for everything', () => {
    const complete = defaultSettings();
    assert.deepEqual(complete.listeners, [{ address: '127.0.0.1:9080' }]);
    assert.deepEqual(complete.admin, {
      enabled: false,
      address: '127.0.0.1:9180',
      keys: [],
      allow: ['127.0.0.0/8', '::1'],
    });
    assert.equal(complete.client.header_timeout, 10);
    assert.deepEqual(complete.access_log, { path: '-', redact: [] });
    assert.deepEqual(complete.metrics, { enabled: true, address: '127.0.0.1:9091' });
    assert.equal(complete.shutdown.grace, 30);
    assert.equal(complete.max_collected_bytes, 16_777_216);
    assert.deepEqual(checkSettings({}), { settings: complete, errors: [] });
  });

  test('ask for the Admin API by saying anything about it but that it is off', () => {
    const enabled = (written: Record<string, unknown>) => {
      const result = checkSettings(written);
      assert.ok('settings' in result);
      return result.settings.admin.enabled;
    };
    assert.equal(enabled({}), false);
    assert.equal(enabled({ admin: {} }), true);
    assert.equal(enabled({ admin: { address: '127.0.0.1:9999' } }), true);
    assert.equal(enabled({ admin: { enabled: false, address: '127.0.0.1:9999' } }), false);
  });

  test('keep what is written beside the defaults', () => {
    const result = checkSettings({ client: { max_headers: 7 }, admin: { enabled: true } });
    assert.ok('settings' in result);
    assert.equal(result.settings.client.max_headers, 7);
    assert.equal(result.settings.client.body_timeout, 60);
    assert.equal(result.settings.admin.enabled, true);
    assert.equal(result.settings.admin.address, '127.0.0.1:9180');
  });

  test('are each described', () => {
    const undescribed: string[] = [];
    const visit = (schema: unknown, path: string): void => {
      if (!isObject(schema)) return;
      if (typeof schema.description !== 'string') undescribed.push(path);
      if (schema.items !== undefined) visit(schema.items, `${path}[]`);
      if (isObject(schema.properties)) {
        for (const [name, property] of Object.entries(schema.properties)) visit(property, `${path}.${name}`);
      }
    };
    visit(settings, 'settings');
    assert.deepEqual(undescribed, []);
  });

  test('are refused with the way to what is wrong', () => {
    assert.deepEqual(errorPaths({ workers: -1 }), ['workers']);
    assert.deepEqual(errorPaths({ listeners: [] }), ['listeners']);
    assert.deepEqual(errorPaths({ listeners: [{ address: '::1:80' }] }), ['listeners.0.address']);
    assert.deepEqual(errorPaths({ client: { header_timeout: 'long' } }), ['client.header_timeout']);
    assert.deepEqual(errorPaths({ trusted_addresses: ['10.0.0.0/8', '10.0.0.0/99'] }), [
      'trusted_addresses.1',
    ]);
    assert.deepEqual(errorPaths({ admin: { allow: ['here'], address: 'x' } }), [
      'admin.address',
      'admin.allow.0',
    ]);
    assert.deepEqual(errorPaths({ workers: 'many', data_dir: 1 }), ['workers', 'data_dir']);
  });

  test('are refused when a name is unknown, without a word of secrets', () => {
    const { errors } = checkSettings({ client: { header_timout: 5 } });
    assert.match(errors[0]?.message ?? '', /header_timout/);
    const secret = 'short-secret';
    const [error] = checkSettings({ admin: { keys: [{ name: 'a', key: secret, role: 'x' }] } }).errors;
    assert.deepEqual(error?.path, ['admin', 'keys', 0, 'role']);
    assert.ok(!error.message.includes(secret));
  });
});

describe('discovery', () => {
  test('has the sections of APISIX, and says which field of a cluster is wrong', () => {
    const fine = {
      dns: { servers: ['127.0.0.1:8600'], order: ['last', 'SRV'] },
      consul: { servers: ['http://127.0.0.1:8500'], token: 'x', timeout: { wait: 30 } },
      kubernetes: [
        { id: 'one', service: { host: 'a', port: '6443' }, client: { token: 'x' } },
        { id: 'two' },
      ],
      file: { path: 'services.yaml' },
    };
    assert.deepEqual(errorPaths({ discovery: fine }), []);
    assert.deepEqual(errorPaths({ discovery: { kubernetes: {} } }), []);
    for (const [wrong, place] of [
      [{ consul: {} }, 'discovery.consul'],
      [{ consul: { servers: ['127.0.0.1:8500'] } }, 'discovery.consul.servers.0'],
      [{ kubernetes: { client: { cert_file: 'a' } } }, 'discovery.kubernetes.client'],
      [
        { kubernetes: [{ id: 'one' }, { service: { schema: 'ftp' } }] },
        'discovery.kubernetes.1.service.schema',
      ],
      [{ nacos: {} }, 'discovery.nacos'],
    ] as const) {
      assert.deepEqual(errorPaths({ discovery: wrong }), [place]);
    }
  });
});
