import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bind,
  checkConfig,
  ManualClock,
  type RequestOptions,
  type TestRequest,
} from '../../plugin/testing.ts';
import { httpCache } from './http-cache.ts';

const answer = (control: string, more: Readonly<Record<string, string>> = {}, body = 'hello') => ({
  headers: { 'Cache-Control': control, 'Content-Length': String(body.length), ...more },
  body,
});

/** A cache with a clock, and what the Upstream was asked. */
function cached(config: Readonly<Record<string, unknown>> = {}) {
  const clock = new ManualClock();
  const bound = bind(httpCache, config as never, { clock });
  let asked = 0;
  return {
    clock,
    kit: bound.kit,
    get asked() {
      return asked;
    },
    get(upstream: RequestOptions['upstream'], request: TestRequest = {}, options: RequestOptions = {}) {
      return bound.request(request, {
        ...options,
        upstream: async (seen) => {
          asked++;
          return typeof upstream === 'function' ? upstream(seen) : (upstream ?? {});
        },
      });
    },
  };
}

test('answers from what it stored, with its age', async () => {
  const cache = cached();
  const first = await cache.get(answer('max-age=60', { 'X-A': '1' }));
  assert.equal(first.response.headers['cache-status'], 'Sluice; fwd=uri-miss; stored');
  cache.clock.advance(7_000);
  const second = await cache.get(answer('max-age=60'));
  assert.equal(cache.asked, 1);
  assert.equal(second.response.body, 'hello');
  assert.equal(second.response.headers.age, '7');
  assert.equal(second.response.headers['x-a'], '1');
  assert.equal(second.response.headers['cache-status'], 'Sluice; hit; ttl=53');
  assert.equal(second.reply?.reason, 'cache_hit');
});

test('asks again, with a condition, when it is too old, and answers with what was confirmed', async () => {
  const cache = cached();
  await cache.get(answer('max-age=60', { ETag: '"a"', 'X-A': '1' }));
  cache.clock.advance(61_000);
  const confirmed = await cache.get((seen) => {
    assert.equal(seen.headers['if-none-match'], '"a"');
    return { status: 304, headers: { 'Cache-Control': 'max-age=60', ETag: '"a"', 'X-A': '2' } };
  });
  assert.equal(confirmed.response.status, 200);
  assert.equal(confirmed.response.body, 'hello');
  assert.equal(confirmed.response.headers['x-a'], '2');
  assert.equal(confirmed.response.headers['cache-status'], 'Sluice; fwd=stale; fwd-status=304');
  await cache.get({});
  assert.equal(cache.asked, 2);
});

test("judges the client's own conditions and ranges by what was confirmed", async () => {
  const cache = cached();
  await cache.get(answer('max-age=60', { ETag: '"a"' }));
  cache.clock.advance(61_000);
  const upstream = (seen: { readonly headers: Readonly<Record<string, string>> }) => {
    assert.equal(seen.headers['if-none-match'], '"a"');
    assert.equal(seen.headers.range, undefined);
    return { status: 304 };
  };
  const has = await cache.get(upstream, { headers: { 'If-None-Match': '"x", "a"' } });
  assert.equal(has.response.status, 304);
  const part = await cache.get(upstream, { headers: { Range: 'bytes=1-2' } });
  assert.deepEqual([part.response.status, part.response.body], [206, 'el']);
  assert.equal(part.response.headers['content-range'], 'bytes 1-2/5');
  const beyond = await cache.get(upstream, { headers: { Range: 'bytes=9-' } });
  assert.deepEqual([beyond.response.status, beyond.response.headers['content-range']], [416, 'bytes */5']);
});

test('keeps the versions that Vary tells apart', async () => {
  const cache = cached();
  const upstream: RequestOptions['upstream'] = (seen) =>
    answer('max-age=60', { Vary: 'Accept-Language' }, seen.headers['accept-language']);
  const ask = (language: string) => cache.get(upstream, { headers: { 'Accept-Language': language } });
  assert.equal((await ask('de, en')).response.body, 'de, en');
  const other = await ask('fr');
  assert.equal(other.response.headers['cache-status'], 'Sluice; fwd=vary-miss; stored');
  assert.equal((await ask('EN,DE')).response.body, 'de, en');
  assert.equal(cache.asked, 2);
});

test("never serves one Consumer's answer to another", async () => {
  const cache = cached();
  const ask = (consumer: string | undefined, control = 'max-age=60') =>
    cache.get(() => answer(control, {}, `for ${consumer}`), {}, { consumer });
  assert.equal((await ask('jane')).response.body, 'for jane');
  assert.equal((await ask('joe')).response.body, 'for joe');
  assert.equal((await ask(undefined)).response.body, 'for undefined');
  assert.equal((await ask('jane')).response.body, 'for jane');
  assert.equal(cache.asked, 3);
});

test('shares between Consumers what is public, or all where that is configured', async () => {
  for (const [config, control] of [
    [{}, 'public, max-age=60'],
    [{ consumer_isolation: false }, 'max-age=60'],
  ] as const) {
    const cache = cached(config);
    await cache.get(answer(control), {}, { consumer: 'jane' });
    await cache.get(answer(control), {}, { consumer: 'joe' });
    assert.equal(cache.asked, 1);
  }
});

test('stores no cookie', async () => {
  for (const [config, control, asked] of [
    [{}, 'max-age=60', 2],
    [{}, 'public, max-age=60', 1],
    [{ strip_set_cookie: true }, 'max-age=60', 1],
  ] as const) {
    const cache = cached(config);
    const first = await cache.get(answer(control, { 'Set-Cookie': 'a=b' }));
    assert.equal(first.response.headers['set-cookie'], 'a=b');
    const second = await cache.get(answer(control));
    assert.equal(second.response.headers['set-cookie'], undefined);
    assert.equal(cache.asked, asked);
  }
});

test('answers only-if-cached with 504 when it has nothing', async () => {
  const cache = cached();
  const { response } = await cache.get({}, { headers: { 'Cache-Control': 'only-if-cached' } });
  assert.equal(response.status, 504);
  assert.equal(cache.asked, 0);
});

test('does not heed requests that want to ask the Upstream where that is configured', async () => {
  const cache = cached({ request_directives: false });
  await cache.get(answer('max-age=60'));
  await cache.get(answer('max-age=60'), { headers: { 'Cache-Control': 'no-cache' } });
  assert.equal(cache.asked, 1);
});

test('gives lifetimes of its own to what has none', async () => {
  const cache = cached({ default_ttl: 10, negative_ttl: 5 });
  const plain = { headers: { 'Content-Length': '0' } };
  const missing = { status: 404, headers: { 'Content-Length': '0' } };
  await cache.get(plain, { target: '/a' });
  await cache.get(missing, { target: '/b' });
  cache.clock.advance(4_000);
  assert.equal((await cache.get(plain, { target: '/b' })).response.status, 404);
  cache.clock.advance(2_000);
  await cache.get(plain, { target: '/a' });
  assert.equal(cache.asked, 2);
  assert.equal((await cache.get(plain, { target: '/b' })).response.status, 200);
});

test('forgets what a successful change concerns, and only that', async () => {
  const cache = cached();
  for (const target of ['/a', '/b', '/c']) await cache.get(answer('max-age=60'), { target });
  await cache.get({ status: 500 }, { method: 'POST', target: '/a' });
  await cache.get(
    { status: 201, headers: { Location: '/b', 'Content-Location': 'http://elsewhere.test/c' } },
    { method: 'POST', target: '/a?' },
  );
  await cache.get(answer('max-age=60'), { target: '/a' });
  await cache.get(answer('max-age=60'), { target: '/b' });
  await cache.get(answer('max-age=60'), { target: '/c' });
  assert.equal(cache.asked, 7, 'c is on another host');
});

test('purges a resource, all below a path, and all with a tag, for those who may', async () => {
  const cache = cached({ purge_from: ['192.0.2.0/24'] });
  const fill = async () => {
    for (const target of ['/a/1', '/a/2', '/b'])
      await cache.get(answer('max-age=60', { 'Surrogate-Key': `x ${target}` }), { target });
  };
  const purge = (target: string, headers = {}, clientAddress = '192.0.2.9') =>
    cache.get({}, { method: 'PURGE', target, headers, clientAddress });
  await fill();
  assert.equal((await purge('/a/1', {}, '198.51.100.1')).response.status, 403);
  assert.equal((await purge('/a/1')).response.body, '{"purged":1}\n');
  assert.equal((await purge('/a/*')).response.body, '{"purged":1}\n');
  await fill();
  assert.equal((await purge('/', { 'Surrogate-Key': 'x' })).response.body, '{"purged":3}\n');
  await fill();
  assert.equal((await purge('/', { 'Cache-Tag': '/a/1, /b' })).response.body, '{"purged":2}\n');
});

test('hides the field that is meant for it', async () => {
  const cache = cached();
  const first = await cache.get(
    answer('no-store', { 'Sluice-Cache-Control': 'max-age=60', 'CDN-Cache-Control': 'x' }),
  );
  const second = await cache.get(answer('no-store'));
  assert.equal(cache.asked, 1);
  for (const { response } of [first, second]) {
    assert.equal(response.headers['sluice-cache-control'], undefined);
    assert.equal(response.headers['cdn-cache-control'], 'x');
  }
});

test('stores no body whose end nobody can know, none that is too large, and no part', async () => {
  for (const upstream of [
    { headers: { 'Cache-Control': 'max-age=60' }, body: 'hello' },
    answer('max-age=60', {}, 'x'.repeat(11)),
    { ...answer('max-age=60', { 'Content-Range': 'bytes 0-4/9' }), status: 206 },
  ]) {
    const cache = cached({ max_object_bytes: 10 });
    await cache.get(upstream);
    await cache.get(upstream);
    assert.equal(cache.asked, 2);
  }
});

test('does nothing in a global rule or without its zone, and says so', async () => {
  for (const options of [{ place: { kind: 'global_rules', id: '1' } as const }, { caches: {} }]) {
    const bound = bind(httpCache, {}, options);
    assert.deepEqual(Object.keys(bound.handlers), []);
    assert.match(bound.kit.lines[0].message, /^http-cache does nothing/);
  }
});

test('refuses what is no address', () => {
  assert.match(checkConfig(httpCache, { purge_from: ['example.com'] }) ?? '', /purge_from/);
});
