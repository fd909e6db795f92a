import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, run } from '../../plugin/testing.ts';
import { keyAuth } from './key-auth.ts';

const options = {
  credentials: [
    { consumer: 'acme', config: { key: 'acme-key-1' } },
    { consumer: 'jane', config: { key: 'jane-key-1' } },
    { consumer: 'jane', credentialId: 'c1', config: { key: 'jane-cred-key' } },
  ],
  consumers: ['guest'],
};

test('recognises a Consumer by the key in the header', async () => {
  const result = await run(keyAuth, {}, { headers: { apikey: 'acme-key-1' } }, options);
  assert.equal(result.reply, undefined);
  assert.equal(result.consumer?.username, 'acme');
  assert.equal(result.request.headers.apikey, 'acme-key-1');
});

test('recognises the header whatever its case', async () => {
  const { consumer } = await run(keyAuth, {}, { headers: { APIKEY: 'acme-key-1' } }, options);
  assert.equal(consumer?.username, 'acme');
});

test('recognises a Credential of its own', async () => {
  const { match } = await run(keyAuth, {}, { headers: { apikey: 'jane-cred-key' } }, options);
  assert.equal(match?.consumer.username, 'jane');
  assert.equal(match?.credentialId, 'c1');
});

test('recognises a key in the query and passes it on', async () => {
  const result = await run(keyAuth, {}, { target: '/orders/7?apikey=acme-key-1' }, options);
  assert.equal(result.consumer?.username, 'acme');
  assert.equal(result.request.query, 'apikey=acme-key-1');
});

for (const [name, headers, message] of [
  ['refuses a request without a key', [], 'Missing API key in request'],
  ['refuses a wrong key', [['apikey', 'wrong']], 'Invalid API key in request'],
  ['refuses an empty key', [['apikey', '']], 'Invalid API key in request'],
  [
    'looks at the first of several keys only',
    [
      ['apikey', 'wrong'],
      ['apikey', 'acme-key-1'],
    ],
    'Invalid API key in request',
  ],
] as const) {
  test(name, async () => {
    const { response, consumer } = await run(keyAuth, {}, { headers }, options);
    assert.equal(response.status, 401);
    assert.equal(response.body, `{"message":"${message}"}\n`);
    assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(response.headers['www-authenticate'], 'apikey realm="key"');
    assert.equal(consumer, undefined);
  });
}

test('a wrong key in the header is not made good by one in the query', async () => {
  const { response } = await run(
    keyAuth,
    {},
    { target: '/?apikey=acme-key-1', headers: { apikey: 'wrong' } },
    options,
  );
  assert.equal(response.status, 401);
});

test('names the configured realm', async () => {
  const { response } = await run(keyAuth, { realm: 'orders' }, {}, options);
  assert.equal(response.headers['www-authenticate'], 'apikey realm="orders"');
});

const hiding = { header: 'X-Key', query: 'k', hide_credentials: true };

test('hides a key in a configured header', async () => {
  const result = await run(keyAuth, hiding, { headers: { 'X-Key': 'acme-key-1' } }, options);
  assert.equal(result.consumer?.username, 'acme');
  assert.equal(result.request.headers['x-key'], undefined);
});

test('hides a key in a configured query parameter', async () => {
  const result = await run(keyAuth, hiding, { target: '/t1?k=acme-key-1&z=1' }, options);
  assert.equal(result.consumer?.username, 'acme');
  assert.equal(result.request.query, 'z=1');
});

test('lets the anonymous Consumer in, and hides the key that was wrong', async () => {
  const result = await run(
    keyAuth,
    { anonymous_consumer: 'guest', hide_credentials: true },
    { headers: { apikey: 'wrong' } },
    options,
  );
  assert.equal(result.consumer?.username, 'guest');
  assert.equal(result.request.headers.apikey, undefined);
});

test('refuses callers when the anonymous Consumer does not exist', async () => {
  const { response, log } = await run(keyAuth, { anonymous_consumer: 'nobody' }, {}, options);
  assert.equal(response.status, 401);
  assert.equal(response.body, '{"message":"Invalid user authorization"}\n');
  assert.equal(log[0].level, 'error');
});

test('a credential is known by its key', () => {
  assert.equal(keyAuth.credential?.identity({ key: 'k' }), 'k');
  assert.equal(keyAuth.credential?.identityField, 'key');
});

test('refuses a realm that would end its quoted string', () => {
  assert.equal(checkConfig(keyAuth, { realm: 'orders and more' }), undefined);
  for (const realm of ['a"b', 'a\\b', 'a\r\nb', '']) {
    assert.match(checkConfig(keyAuth, { realm }) ?? '', /^property "realm" validation failed/);
  }
});
