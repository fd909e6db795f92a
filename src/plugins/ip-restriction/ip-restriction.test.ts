import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConnectionView } from '../../plugin/exchange.ts';
import type { Reply } from '../../plugin/reply.ts';
import { bind, checkConfig, run } from '../../plugin/testing.ts';
import { ipRestriction } from './ip-restriction.ts';

async function status(config: Record<string, unknown>, clientAddress: string): Promise<number> {
  return (await run(ipRestriction, config, { clientAddress })).response.status;
}

test('refuses an address on the blacklist', async () => {
  const config = { blacklist: ['127.0.0.0/8'] };
  const { response } = await run(ipRestriction, config, { clientAddress: '127.0.0.1' });
  assert.equal(response.status, 403);
  assert.equal(response.body, '{"message":"Your IP address is not allowed"}\n');
  assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(await status(config, '10.1.2.3'), 200);
});

test('refuses an address that is not on the whitelist', async () => {
  const config = { whitelist: ['10.0.0.0/8', '2001:db8::/32'] };
  assert.equal(await status(config, '127.0.0.1'), 403);
  assert.equal(await status(config, '10.255.0.1'), 200);
  assert.equal(await status(config, '2001:db8::1'), 200);
  assert.equal(await status(config, '2001:db9::1'), 403);
});

test('an IPv4 address mapped into IPv6 is that IPv4 address', async () => {
  assert.equal(await status({ blacklist: ['10.0.0.0/8'] }, '::ffff:10.1.2.3'), 403);
  assert.equal(await status({ whitelist: ['10.0.0.0/8'] }, '::ffff:10.1.2.3'), 200);
});

test('refuses what is no address when there is a whitelist', async () => {
  assert.equal(await status({ whitelist: ['0.0.0.0/0', '::/0'] }, 'unknown'), 403);
});

test('looks at the trusted client address, not at the peer or a header', async () => {
  const request = {
    peerAddress: '10.0.0.1',
    clientAddress: '198.51.100.1',
    headers: { 'X-Forwarded-For': '10.0.0.1', 'X-Real-IP': '10.0.0.1' },
  };
  assert.equal((await run(ipRestriction, { whitelist: ['10.0.0.0/8'] }, request)).response.status, 403);
});

test('answers with the configured status and message', async () => {
  const config = { blacklist: ['192.0.2.1'], message: 'not for you', response_code: 404 };
  const { response } = await run(ipRestriction, config, { clientAddress: '192.0.2.1' });
  assert.equal(response.status, 404);
  assert.equal(response.body, '{"message":"not for you"}\n');
});

test('says which entry is no address', () => {
  assert.equal(checkConfig(ipRestriction, { whitelist: ['10.0.0.0/8', '::1', '2001:db8::/32'] }), undefined);
  assert.equal(
    checkConfig(ipRestriction, { blacklist: ['::1', '10.0.0.256'] }),
    'property "blacklist" validation failed: failed to validate item 2: object matches none of the required',
  );
  assert.equal(checkConfig(ipRestriction, { blacklist: ['::1', ':/8'] }), 'invalid ip address: :/8');
});

test('takes exactly one of the lists', () => {
  assert.equal(checkConfig(ipRestriction, {}), 'value should match only one schema, but matches none');
  assert.equal(
    checkConfig(ipRestriction, { whitelist: ['::1'], blacklist: ['::1'] }),
    'value should match only one schema, but matches both schemas 1 and 2',
  );
});

test('refuses connections of stream routes, too', () => {
  const { handlers } = bind(ipRestriction, { whitelist: ['10.0.0.0/8'] });
  const connect = (clientAddress: string) =>
    handlers.connect!({ request: { clientAddress } } as unknown as ConnectionView);
  assert.equal(connect('10.1.2.3'), undefined);
  assert.equal((connect('192.0.2.1') as Reply).status, 403);
});
