import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExplainRequest, explainEndpoint } from './explain-endpoint.ts';
import { runAdmin, VIEWER_KEY } from './testing.ts';

async function start(asked: ExplainRequest[] = []) {
  return runAdmin({
    extensions: {
      explain: explainEndpoint(async (request) => {
        asked.push(request);
        if (request.url === 'nonsense') throw new TypeError('not an http or https URL');
        return { verdict: { type: 'forward' } };
      }),
    },
  });
}

test('gives the explanation of what was asked', async () => {
  const asked: ExplainRequest[] = [];
  await using admin = await start(asked);
  const { status, body } = await admin.ask('POST', '/apisix/admin/explain', {
    method: 'PUT',
    url: 'http://h/a',
    headers: { A: 'b', C: ['d', 'e'] },
    client: '10.0.0.1',
  });
  assert.equal(status, 200);
  assert.deepEqual(body, { verdict: { type: 'forward' } });
  assert.deepEqual(asked, [
    {
      method: 'PUT',
      url: 'http://h/a',
      client: '10.0.0.1',
      headers: [
        ['A', 'b'],
        ['C', 'd'],
        ['C', 'e'],
      ],
    },
  ]);
});

test('refuses what is no request, with the reason', async () => {
  await using admin = await start();
  for (const [sent, message] of [
    [{}, /property "url" is required/],
    [{ url: 1 }, /url/],
    [{ url: '/', uri: '/' }, /uri/],
    [{ url: '/', headers: { a: 1 } }, /headers/],
    [{ url: '/', client: 'me' }, /client must be an IP address/],
    [{ url: 'nonsense' }, /not an http or https URL/],
  ] as const) {
    const { status, body } = await admin.ask('POST', '/apisix/admin/explain', sent);
    assert.equal(status, 400);
    assert.match(String(body.error_msg), message);
  }
  assert.equal((await admin.ask('GET', '/apisix/admin/explain')).status, 404);
  assert.equal((await admin.ask('POST', '/apisix/admin/explain/more', { url: '/' })).status, 404);
});

test('wants a key', async () => {
  await using admin = await start();
  assert.equal((await admin.ask('POST', '/apisix/admin/explain', { url: '/' }, {})).status, 401);
  assert.equal(
    (await admin.ask('POST', '/apisix/admin/explain', { url: '/' }, { 'X-API-KEY': VIEWER_KEY })).status,
    401,
  );
});
