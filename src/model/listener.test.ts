import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenerProblem, resolveListener } from './listener.ts';
import { checkSettings } from './settings.ts';

const address = '127.0.0.1:9100';

test('what was left out is filled in', () => {
  assert.deepEqual(resolveListener({ address }), {
    host: '127.0.0.1',
    port: 9100,
    protocol: 'http',
    tls: false,
    http2: false,
    proxyProtocol: false,
  });
});

test('what does not go together is named with its field', () => {
  const field = (more: object, trusting = true) => listenerProblem({ address, ...more }, trusting)?.field;
  assert.equal(field({ protocol: 'tcp', http2: true }), 'http2');
  assert.equal(field({ protocol: 'udp', tls: true }), 'tls');
  assert.equal(field({ protocol: 'udp', proxy_protocol: true }), 'proxy_protocol');
  assert.equal(field({ protocol: 'tcp', proxy_protocol: true }, false), 'proxy_protocol');
  for (const fine of [{}, { tls: true, http2: true }, { protocol: 'tcp', tls: true, proxy_protocol: true }])
    assert.equal(field(fine), undefined);
});

test('a listener that nobody could connect to is refused', () => {
  const listeners = [{ address, proxy_protocol: true }];
  assert.deepEqual(checkSettings({ listeners, trusted_addresses: ['10.0.0.0/8'] }).errors, []);
  assert.deepEqual(checkSettings({ listeners }).errors, [
    {
      path: ['listeners', 0, 'proxy_protocol'],
      message: 'nobody could connect: say in trusted_addresses who may send the header',
    },
  ]);
});
