import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, run } from '../../plugin/testing.ts';
import { realIp } from './real-ip.ts';

const peer = { peerAddress: '10.0.0.1', clientPort: 4000 };

async function client(
  config: Record<string, unknown>,
  headers: Record<string, string | string[]> = {},
  target = '/',
): Promise<string> {
  const result = await run(realIp, config, { ...peer, headers, target });
  assert.equal(result.reply, undefined);
  return `${result.clientAddress} ${result.clientPort}`;
}

test('takes address and port from a variable', async () => {
  const config = { source: 'arg_realip' };
  assert.equal(await client(config, {}, '/?realip=198.51.100.1:9080'), '198.51.100.1 9080');
  assert.equal(await client(config, {}, '/?realip=198.51.100.1'), '198.51.100.1 4000');
  const { variable } = await run(realIp, config, { ...peer, target: '/?realip=198.51.100.1' });
  assert.equal(variable('remote_addr'), '198.51.100.1');
  assert.equal(variable('realip_remote_addr'), '10.0.0.1');
});

test('takes IPv6 addresses, with brackets or without', async () => {
  const config = { source: 'http_x_real_ip' };
  assert.equal(await client(config, { 'X-Real-IP': '2001:db8::1' }), '2001:db8::1 4000');
  assert.equal(await client(config, { 'X-Real-IP': '[2001:db8::1]' }), '2001:db8::1 4000');
  assert.equal(await client(config, { 'X-Real-IP': '[2001:db8::1]:443' }), '2001:db8::1 443');
});

test('leaves the client alone when the source is missing or no address', async () => {
  const config = { source: 'http_x_real_ip' };
  assert.equal(await client(config), '10.0.0.1 4000');
  for (const bad of [
    '',
    'example.com',
    '198.51.100.1:0',
    '198.51.100.1:65536',
    '[198.51.100.1]',
    '1.2.3',
    ':80',
  ]) {
    assert.equal(await client(config, { 'X-Real-IP': bad }), '10.0.0.1 4000', bad);
  }
});

test('believes trusted proxies only', async () => {
  const headers = { 'X-Real-IP': '198.51.100.1' };
  const config = { source: 'http_x_real_ip' };
  assert.equal(await client({ ...config, trusted_addresses: ['10.0.0.0/8'] }, headers), '198.51.100.1 4000');
  assert.equal(await client({ ...config, trusted_addresses: ['10.9.0.0/16'] }, headers), '10.0.0.1 4000');
});

const forwardedFor = { source: 'http_x_forwarded_for', trusted_addresses: ['10.0.0.0/8'] };

test('takes the last address of X-Forwarded-For, over all fields', async () => {
  const headers = { 'X-Forwarded-For': ['203.0.113.9', '198.51.100.1 , 198.51.100.2'] };
  assert.equal(await client(forwardedFor, headers), '198.51.100.2 4000');
});

test('looks past trusted hops when recursive', async () => {
  const config = { ...forwardedFor, recursive: true };
  const from = (list: string) => client(config, { 'X-Forwarded-For': list });
  assert.equal(await from('203.0.113.9, 198.51.100.1, 10.0.0.7, 10.0.0.8:80'), '198.51.100.1 4000');
  assert.equal(await from('10.0.0.5, 10.0.0.7'), '10.0.0.5 4000', 'all trusted: the first');
  assert.equal(await from('198.51.100.1, nonsense, 10.0.0.7'), '10.0.0.1 4000', 'looks past no nonsense');
});

test('says which trusted address is none', () => {
  assert.equal(checkConfig(realIp, forwardedFor), undefined);
  assert.equal(checkConfig(realIp, {}), 'property "source" is required');
  assert.equal(
    checkConfig(realIp, { source: 'http_x', trusted_addresses: ['::/129'] }),
    'invalid ip address: ::/129',
  );
});
