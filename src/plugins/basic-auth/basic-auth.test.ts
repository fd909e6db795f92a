import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../plugin/testing.ts';
import { basicAuth } from './basic-auth.ts';

const options = {
  credentials: [
    { consumer: 'bob', config: { username: 'bob', password: 'pw' } },
    { consumer: 'jörg', credentialId: 'c1', config: { username: 'jörg', password: 'a:b c ü' } },
    { consumer: 'blank', config: { username: 'blank', password: '' } },
  ],
  consumers: ['guest'],
};

function basic(userPass: string): { headers: { Authorization: string } } {
  return { headers: { Authorization: `Basic ${Buffer.from(userPass).toString('base64')}` } };
}

test('recognises a Consumer by name and password', async () => {
  const result = await run(basicAuth, {}, { headers: { Authorization: 'Basic Ym9iOnB3' } }, options);
  assert.equal(result.reply, undefined);
  assert.equal(result.consumer?.username, 'bob');
  assert.equal(result.request.headers.authorization, 'Basic Ym9iOnB3');
});

test('a password may hold colons, spaces and letters beyond ASCII', async () => {
  const { match } = await run(basicAuth, {}, basic('jörg:a:b c ü'), options);
  assert.equal(match?.credentialId, 'c1');
});

test('the scheme may be written in any case and the padding left away', async () => {
  const { consumer } = await run(basicAuth, {}, { headers: { Authorization: 'bASIC Ym9iOnB3' } }, options);
  assert.equal(consumer?.username, 'bob');
});

for (const [name, authorization, message] of [
  ['refuses a request without credentials', undefined, 'Missing authorization in request'],
  ['refuses a wrong password', 'Basic Ym9iOng=', 'Invalid user authorization'],
  ['refuses garbage', 'Basic !!!', 'Invalid authorization in request'],
  ['refuses another scheme', 'Bearer x', 'Invalid authorization in request'],
  ['refuses a scheme alone', 'Basic', 'Invalid authorization in request'],
  ['refuses a name without a colon', 'Basic Ym9i', 'Invalid authorization in request'],
  ['refuses an unknown name', basic('eve:pw').headers.Authorization, 'Invalid user authorization'],
  [
    'refuses an unknown name without a password',
    basic('eve:').headers.Authorization,
    'Invalid user authorization',
  ],
  ['refuses a longer password', basic('bob:pwpw').headers.Authorization, 'Invalid user authorization'],
  ['refuses an empty password', basic('bob:').headers.Authorization, 'Invalid user authorization'],
] as const) {
  test(name, async () => {
    const request = { headers: { Authorization: authorization } };
    const { response, consumer } = await run(basicAuth, {}, request, options);
    assert.equal(response.status, 401);
    assert.equal(response.body, `{"message":"${message}"}\n`);
    assert.equal(response.headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(response.headers['www-authenticate'], 'Basic realm="basic"');
    assert.equal(consumer, undefined);
  });
}

test('hides the credentials', async () => {
  const { request } = await run(basicAuth, { hide_credentials: true }, basic('bob:pw'), options);
  assert.equal(request.headers.authorization, undefined);
});

test('lets the anonymous Consumer in without valid credentials', async () => {
  const config = { anonymous_consumer: 'guest' };
  assert.equal((await run(basicAuth, config, {}, options)).consumer?.username, 'guest');
  assert.equal((await run(basicAuth, config, basic('bob:no'), options)).consumer?.username, 'guest');
  assert.equal((await run(basicAuth, config, basic('bob:pw'), options)).consumer?.username, 'bob');
});

test('refuses callers when the anonymous Consumer does not exist', async () => {
  const { response } = await run(basicAuth, { anonymous_consumer: 'nobody' }, {}, options);
  assert.equal(response.status, 401);
  assert.equal(response.body, '{"message":"Invalid user authorization"}\n');
});

test('a credential is known by its user name', () => {
  assert.equal(basicAuth.credential?.identity({ username: 'bob', password: 'pw' }), 'bob');
});
