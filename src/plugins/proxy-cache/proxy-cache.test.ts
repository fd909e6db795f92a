import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bind,
  checkConfig,
  ManualClock,
  type RequestOptions,
  type TestRequest,
} from '../../plugin/testing.ts';
import { proxyCache } from './proxy-cache.ts';

const memory = { cache_strategy: 'memory', cache_zone: 'memory_cache', cache_ttl: 10 };
const answer = (headers: Readonly<Record<string, string>> = {}, status = 200) => ({
  status,
  headers: { 'Content-Length': '5', ...headers },
  body: 'hello',
});

function cached(config: Readonly<Record<string, unknown>>) {
  const clock = new ManualClock();
  const bound = bind(proxyCache, config as never, { clock });
  return {
    clock,
    async status(
      request: TestRequest = {},
      upstream: RequestOptions['upstream'] = answer(),
      options: RequestOptions = {},
    ) {
      const { response } = await bound.request(request, { ...options, upstream });
      return response.headers['apisix-cache-status'];
    },
    request: (request: TestRequest, upstream: RequestOptions['upstream'] = answer()) =>
      bound.request(request, { upstream }),
  };
}

test('keeps for cache_ttl in memory, whatever max-age says', async () => {
  const cache = cached(memory);
  const upstream = answer({ 'Cache-Control': 'max-age=1' });
  assert.equal(await cache.status({}, upstream), 'MISS');
  cache.clock.advance(9_000);
  assert.equal(await cache.status({}, upstream), 'HIT');
  cache.clock.advance(2_000);
  assert.equal(await cache.status({}, upstream), 'EXPIRED');
  assert.equal(await cache.status({}, upstream), 'HIT');
});

test('keeps on disk for as long as the Upstream says, else for ten seconds', async () => {
  const cache = cached({});
  await cache.status({ target: '/a' }, answer({ 'Cache-Control': 'max-age=60' }));
  await cache.status({ target: '/b' });
  cache.clock.advance(11_000);
  assert.equal(await cache.status({ target: '/a' }), 'HIT');
  assert.equal(await cache.status({ target: '/b' }), 'EXPIRED');
});

test('never stores what the Upstream forbids, nor cookies', async () => {
  for (const headers of [
    { 'Cache-Control': 'private' },
    { 'Cache-Control': 'no-store' },
    { 'Cache-Control': 'no-cache' },
    { Vary: '*' },
    { 'Set-Cookie': 'a=b' },
  ] as Record<string, string>[]) {
    const cache = cached(memory);
    assert.equal(await cache.status({}, answer(headers)), 'MISS');
    assert.equal(await cache.status({}, answer(headers)), 'MISS', JSON.stringify(headers));
  }
});

test('stores the statuses and methods that are configured', async () => {
  const cache = cached(memory);
  for (const [status, second] of [
    [200, 'HIT'],
    [301, 'HIT'],
    [404, 'HIT'],
    [500, 'MISS'],
  ] as const) {
    await cache.status({ target: `/${status}` }, answer({}, status));
    assert.equal(await cache.status({ target: `/${status}` }, answer({}, status)), second, String(status));
  }
  assert.equal(await cache.status({ method: 'POST', target: '/200' }), 'MISS');
  const posts = cached({ ...memory, cache_method: ['POST'] });
  await posts.status({ method: 'POST' });
  assert.equal(await posts.status({ method: 'POST' }), 'HIT');
  assert.equal(await cached({}).status({ method: 'PUT' }), 'BYPASS');
});

test('tells responses apart by cache_key', async () => {
  const cache = cached({ ...memory, cache_key: ['$uri', '-cache', '$arg_a'] });
  await cache.status({ target: '/x?a=1&b=1' });
  assert.equal(await cache.status({ target: '/x?b=2&a=1' }), 'HIT');
  assert.equal(await cache.status({ target: '/x?a=2' }), 'MISS');
});

test('passes by and does not store as configured', async () => {
  const cache = cached({
    ...memory,
    cache_bypass: ['$arg_bypass'],
    no_cache: ['$arg_fresh'],
    cache_key: ['$uri'],
  });
  assert.equal(await cache.status({ target: '/?fresh=1' }), 'MISS');
  assert.equal(await cache.status({ target: '/?fresh=0' }), 'MISS');
  assert.equal(await cache.status({ target: '/?bypass=0' }), 'HIT');
  assert.equal(await cache.status({ target: '/?bypass=1' }), 'BYPASS');
});

test('heeds Cache-Control of requests and responses with cache_control only', async () => {
  const asking = { headers: { 'Cache-Control': 'no-store' } };
  const deaf = cached(memory);
  await deaf.status();
  assert.equal(await deaf.status(asking), 'HIT');
  const cache = cached({ ...memory, cache_control: true });
  assert.equal(await cache.status(), 'MISS');
  assert.equal(await cache.status(), 'MISS', 'the Upstream gave it no lifetime');
  await cache.status({}, answer({ 'Cache-Control': 'max-age=60' }));
  assert.equal(await cache.status(), 'HIT');
  assert.equal(await cache.status(asking), 'BYPASS');
  cache.clock.advance(5_000);
  assert.equal(await cache.status({ headers: { 'Cache-Control': 'max-age=1' } }), 'STALE');
  const { response } = await cache.request({ target: '/x', headers: { 'Cache-Control': 'only-if-cached' } });
  assert.equal(response.status, 504);
});

test('hides what tells of caching', async () => {
  const cache = cached({ ...memory, hide_cache_headers: true });
  for (let times = 0; times < 2; times++) {
    const { response } = await cache.request({}, answer({ 'Cache-Control': 'max-age=60', Expires: 'x' }));
    assert.equal(response.headers['cache-control'], undefined);
    assert.equal(response.headers.expires, undefined);
  }
});

test('keeps Consumers apart unless configured otherwise', async () => {
  const cache = cached(memory);
  await cache.status({}, answer(), { consumer: 'jane' });
  assert.equal(await cache.status({}, answer(), { consumer: 'joe' }), 'MISS');
  const shared = cached({ ...memory, consumer_isolation: false });
  await shared.status({}, answer(), { consumer: 'jane' });
  assert.equal(await shared.status({}, answer(), { consumer: 'joe' }), 'HIT');
});

test('purges with 200, and with 404 when there is nothing', async () => {
  const cache = cached(memory);
  await cache.status();
  const purge = async (clientAddress = '127.0.0.1') =>
    (await cache.request({ method: 'PURGE', clientAddress })).response.status;
  assert.equal(await purge('192.0.2.1'), 403);
  assert.equal(await purge(), 200);
  assert.equal(await purge(), 404);
  assert.equal(await cache.status(), 'MISS');
});

test('refuses what APISIX refuses, in its words', () => {
  assert.equal(
    checkConfig(proxyCache, { cache_key: ['$request_method'] }),
    'cache_key variable $request_method unsupported',
  );
  assert.equal(
    checkConfig(proxyCache, { cache_strategy: 'memory' }),
    'invalid or empty cache_zone for cache_strategy: memory',
  );
  assert.match(checkConfig(proxyCache, { cache_key: ['$a-b'] }) ?? '', /cache_key/);
});

test('never keeps what is fetched in the background unasked: it might be what must not be stored', async () => {
  const cache = cached(memory);
  const upstream = answer({ 'Cache-Control': 'max-age=1, stale-while-revalidate=600' });
  await cache.status({}, upstream);
  cache.clock.advance(11_000);
  assert.equal(await cache.status({}, answer({}, 403)), 'EXPIRED');
  assert.equal(await cache.status({}, upstream), 'EXPIRED');
});

test('tells ports of the host apart, since the Upstream may put them into its answer', async () => {
  const cache = cached(memory);
  const ask = (host: string) => cache.status({ host });
  assert.equal(await ask('a.test:1337'), 'MISS');
  assert.equal(await ask('a.test'), 'MISS');
  assert.equal(await ask('A.test'), 'HIT');
  assert.equal(await ask('a.test:1337'), 'HIT');
});
