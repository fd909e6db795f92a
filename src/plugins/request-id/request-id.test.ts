import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind, checkConfig, ManualClock, run } from '../../plugin/testing.ts';
import { requestId } from './request-id.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('gives each request a UUID of its own, for Upstream and client', async () => {
  const bound = bind(requestId);
  const ids = new Set<string>();
  for (let times = 0; times < 50; times++) {
    const { request, response, variable } = await bound.request();
    const id = request.headers['x-request-id'];
    assert.match(id, UUID);
    assert.equal(response.headers['x-request-id'], id);
    assert.equal(variable('apisix_request_id'), id);
    ids.add(id);
  }
  assert.equal(ids.size, 50);
});

test('keeps an id that the client sent, but not an empty one', async () => {
  const sent = await run(requestId, {}, { headers: { 'x-request-id': 'mine' } });
  assert.equal(sent.request.headers['x-request-id'], 'mine');
  assert.equal(sent.response.headers['x-request-id'], 'mine');
  const empty = await run(requestId, {}, { headers: { 'x-request-id': '' } });
  assert.match(empty.request.headers['x-request-id'], UUID);
});

test("keeps the id of the Upstream's response", async () => {
  const upstream = { headers: { 'X-Request-Id': 'theirs' } };
  const { response } = await run(requestId, {}, {}, { upstream });
  assert.equal(response.headers['x-request-id'], 'theirs');
});

test('uses the configured header and leaves the response alone when told to', async () => {
  const config = { header_name: 'X-Trace', include_in_response: false };
  const { request, response } = await run(requestId, config);
  assert.match(request.headers['x-trace'], UUID);
  assert.equal(response.headers['x-trace'], undefined);
});

test('makes NanoIDs', async () => {
  const { request } = await run(requestId, { algorithm: 'nanoid' });
  assert.match(request.headers['x-request-id'], /^[\w-]{21}$/);
});

test('makes ids of chosen characters and length', async () => {
  const standard = await run(requestId, { algorithm: 'range_id' });
  assert.match(standard.request.headers['x-request-id'], /^[a-zA-Z0-9]{16}$/);
  const range = { length: 30, char_set: 'abcdef' };
  const { request } = await run(requestId, { algorithm: 'range_id', range_id: range });
  assert.match(request.headers['x-request-id'], /^[a-f]{30}$/);
});

test('makes KSUIDs, which sort by time', async () => {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const bound = bind(requestId, { algorithm: 'ksuid' }, { clock });
  const ids: string[] = [];
  for (let times = 0; times < 20; times++) {
    ids.push((await bound.request()).request.headers['x-request-id']);
    clock.advance(1000);
  }
  for (const id of ids) assert.match(id, /^[0-9A-Za-z]{27}$/);
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(secondsOf(ids[0]), Date.UTC(2026, 0, 1) / 1000);
});

/** The seconds of a KSUID, by plain big numbers. */
function secondsOf(id: string): number {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const number = [...id].reduce((sum, digit) => sum * 62n + BigInt(digits.indexOf(digit)), 0n);
  return Number(number >> 128n) + 1_400_000_000;
}

test('refuses names and characters that could not be sent', () => {
  assert.equal(checkConfig(requestId, {}), undefined);
  assert.equal(checkConfig(requestId, { header_name: 'X Id' }), 'invalid header name: X Id');
  assert.equal(
    checkConfig(requestId, { range_id: { char_set: 'abc\r\ndef' } }),
    'range_id.char_set may hold visible ASCII characters only',
  );
});
