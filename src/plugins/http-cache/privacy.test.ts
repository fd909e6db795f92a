// Whom a stored response may be given to, whatever comes after it: confirmations, HEAD, refreshing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnResponse } from '../../plugin/own-request.ts';
import { bind, ManualClock, type RequestOptions, type TestRequest } from '../../plugin/testing.ts';
import { httpCache } from './http-cache.ts';

type Headers = Readonly<Record<string, string>>;

const answer = (control: string, body = '', more: Headers = {}) => ({
  headers: { 'Cache-Control': control, 'Content-Length': String(body.length), ...more },
  body,
});

/** A cache between callers and an Upstream; `refreshed` answers what is fetched in the background. */
function cached(refreshed?: () => OwnResponse) {
  const clock = new ManualClock();
  const send = refreshed && (() => Promise.resolve(refreshed()));
  const bound = bind(httpCache, {} as never, { clock, ...(send && { send }) });
  let asked = 0;
  return {
    clock,
    get asked() {
      return asked;
    },
    async ask(consumer: string | undefined, upstream: RequestOptions['upstream'], request: TestRequest = {}) {
      const { response } = await bound.request(request, {
        consumer,
        upstream: async (seen) => {
          asked++;
          return typeof upstream === 'function' ? upstream(seen) : (upstream ?? {});
        },
      });
      return response;
    },
  };
}

test('an answer to somebody unknown is no answer to a Consumer, unless it is public', async () => {
  const cache = cached();
  await cache.ask(undefined, answer('max-age=60', 'log in'));
  assert.equal((await cache.ask('jane', answer('max-age=60', 'for jane'))).body, 'for jane');
  cache.clock.advance(1_000);
  await cache.ask(undefined, answer('max-age=60', 'log in'), { headers: { 'Cache-Control': 'no-cache' } });
  assert.equal((await cache.ask('jane', answer('max-age=60', 'again'))).body, 'for jane');
});

for (const [what, control] of Object.entries({
  'is private now': 'private, max-age=60',
  'is not public any more': 'max-age=60',
  'must not be stored any more': 'no-store',
})) {
  test(`a confirmation to one Consumer that says that a response ${what} is kept from the others`, async () => {
    for (const method of ['GET', 'HEAD']) {
      const cache = cached();
      await cache.ask('jane', answer('public, max-age=60', 'shared', { ETag: '"a"' }));
      cache.clock.advance(61_000);
      await cache.ask(
        'jane',
        {
          status: method === 'GET' ? 304 : 200,
          headers: { ETag: '"a"', 'Cache-Control': control, 'X-For': 'jane' },
        },
        { method },
      );
      const other = await cache.ask('joe', answer('no-store', 'for joe'));
      assert.deepEqual([other.body, other.headers['x-for']], ['for joe', undefined], method);
    }
  });
}

test('a confirmation asked for with Authorization is for everybody only where the Upstream allows it', async () => {
  for (const [control, shared] of [
    ['max-age=60', false],
    ['max-age=60, must-revalidate', true],
  ] as const) {
    const cache = cached();
    await cache.ask(undefined, answer('max-age=60', 'shared', { ETag: '"a"' }));
    cache.clock.advance(61_000);
    const confirmed = { status: 304, headers: { ETag: '"a"', 'Cache-Control': control, 'X-For': 'jane' } };
    await cache.ask(undefined, confirmed, { headers: { Authorization: 'Basic amFuZTp4' } });
    const other = await cache.ask(undefined, answer('no-store', 'other'));
    assert.equal(other.headers['x-for'], shared ? 'jane' : undefined);
  }
});

test("what is fetched in the background with one Consumer's credentials is for that Consumer, unless it is public", async () => {
  for (const [control, shared] of [
    ['max-age=60', false],
    ['public, max-age=60', true],
  ] as const) {
    const cache = cached(() => ({
      status: 200,
      headers: [['Cache-Control', control]],
      body: Buffer.from('for jane'),
    }));
    await cache.ask('jane', answer('public, max-age=1, stale-while-revalidate=60', 'shared'));
    cache.clock.advance(2_000);
    assert.equal((await cache.ask('jane', {})).body, 'shared');
    await new Promise(setImmediate);
    const other = await cache.ask('joe', answer('no-store', 'for joe'));
    assert.equal(other.body, shared ? 'for jane' : 'for joe');
  }
});

test('a confirmation in the background that says private takes the response from everybody', async () => {
  const cache = cached(() => ({
    status: 304,
    headers: [
      ['Cache-Control', 'private, max-age=60'],
      ['X-For', 'jane'],
    ],
    body: Buffer.alloc(0),
  }));
  await cache.ask('jane', answer('public, max-age=1, stale-while-revalidate=60', 'shared', { ETag: '"a"' }));
  cache.clock.advance(2_000);
  await cache.ask('jane', {});
  await new Promise(setImmediate);
  assert.equal((await cache.ask('joe', answer('no-store', 'for joe'))).body, 'for joe');
});

test('never stores a refusal of this very request, however long it says to be fresh', async () => {
  for (const status of [412, 413, 416, 417, 421, 425, 428, 429, 431, 511]) {
    const cache = cached();
    await cache.ask(
      undefined,
      { ...answer('public, max-age=60'), status },
      { headers: { 'X-Huge': 'x'.repeat(9000) } },
    );
    assert.equal((await cache.ask(undefined, answer('max-age=60', 'good'))).status, 200, String(status));
  }
});
