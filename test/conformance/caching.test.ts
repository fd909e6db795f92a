// http-cache on real sockets: what comes back is stored whole or not at all, and asked for once.
import assert from 'node:assert/strict';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { withDefaults } from '../../src/lib/json-schema.ts';
import type { Value } from '../../src/model/resource.ts';
import type { BodyFilter } from '../../src/plugin/body-filter.ts';
import type { Logger } from '../../src/plugin/kit.ts';
import { httpCache } from '../../src/plugins/http-cache/http-cache.ts';
import { CacheZones } from '../../src/state/cache/cache-zones.ts';
import { Gateway, plugin, route } from '../support/gateway.ts';
import { type Answer, type CallOptions, call } from '../support/http-call.ts';
import { RawClient, until } from '../support/raw.ts';

type Answering = (request: http.IncomingMessage, response: http.ServerResponse) => void;

async function setUp(
  t: TestContext,
  answering: Answering,
  { config = {}, others = [] }: { config?: Value; others?: readonly ReturnType<typeof plugin>[] } = {},
) {
  let asked = 0;
  const server = http.createServer((request, response) => {
    asked++;
    answering(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const zones = new CacheZones({
    settings: [{ name: 'memory_cache', memory_bytes: 1 << 24 }],
    worker: 1,
    workers: 1,
    channel: undefined,
    log: {} as Logger,
  });
  const whole = withDefaults(httpCache.config, config) as Value;
  const plugins = Object.fromEntries([['http-cache', whole], ...others.map(({ name }) => [name, {}])]);
  const gateway = await Gateway.start(t, {
    routes: [route('all', (server.address() as AddressInfo).port, { plugins })],
    plugins: [httpCache, ...others],
    cache: (zone) => zones.zone(zone),
  });
  return {
    gateway,
    server,
    get asked() {
      return asked;
    },
    get: (path: string, options: CallOptions = {}): Promise<Answer> =>
      call(`http://127.0.0.1:${gateway.port}${path}`, options),
  };
}

const fresh: Answering = (_request, response) => {
  response.setHeader('Cache-Control', 'max-age=60');
  response.end('hello');
};

for (const [framing, answering] of [
  ['a length', fresh],
  [
    'chunks',
    (_request, response) => {
      response.setHeader('Cache-Control', 'max-age=60');
      response.write('hel');
      setImmediate(() => response.end('lo'));
    },
  ],
] as const satisfies readonly (readonly [string, Answering])[]) {
  test(`stores a body framed by ${framing} and sends it with its length`, async (t) => {
    const setting = await setUp(t, answering);
    assert.equal((await setting.get('/')).body, 'hello');
    const hit = await setting.get('/');
    assert.equal(hit.body, 'hello');
    assert.equal(hit.headers['content-length'], '5');
    assert.equal(hit.headers['content-type'], undefined, 'the Upstream said none');
    assert.equal(setting.asked, 1);
    const head = await setting.get('/', { method: 'HEAD' });
    assert.deepEqual([head.body, head.headers['content-length']], ['', '5']);
    assert.equal(setting.asked, 1);
    await until('two hits are recorded', () => setting.gateway.records.length === 3);
    const [miss, second] = setting.gateway.records;
    assert.deepEqual([miss.cacheStatus, second.cacheStatus], ['miss', 'hit']);
    assert.deepEqual([second.source, second.reason, second.attempts], ['gateway', 'cache_hit', 0]);
  });
}

test('never stores a body that broke off', async (t) => {
  const setting = await setUp(t, (_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': '10' });
    response.write('hello', () => response.destroy());
  });
  await assert.rejects(setting.get('/'));
  await assert.rejects(setting.get('/'));
  assert.equal(setting.asked, 2);
});

test('never stores a body whose client left before its end', async (t) => {
  let finish: (() => void) | undefined;
  const setting = await setUp(t, (_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', 'Content-Length': '10' });
    response.write('hello');
    finish = () => response.end('world');
  });
  const leaving = await RawClient.connect(setting.gateway.port);
  leaving.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${setting.gateway.port}\r\n\r\n`);
  await leaving.has('hello');
  leaving.reset();
  await until('the end is recorded', () => setting.gateway.records.length === 1);
  const second = setting.get('/');
  await until('it was asked again', () => setting.asked === 2);
  finish?.();
  assert.equal((await second).body, 'helloworld');
});

test('stores nothing that a body, a port or a cookie may have chosen', async (t) => {
  const setting = await setUp(t, (request, response) => {
    if (request.url !== '/guess') response.setHeader('Cache-Control', 'max-age=60');
    else response.setHeader('Last-Modified', 'Wed, 01 Jan 2020 00:00:00 GMT');
    request.resume();
    response.end(`${request.headers.host} ${request.headers.cookie}`);
  });
  const ask = async (path: string, options: CallOptions = {}) =>
    (await setting.get(path, options)).headers['cache-status'];
  assert.equal(await ask('/', { body: 'poison', headers: { 'Content-Length': '6' } }), 'Sluice; fwd=bypass');
  assert.equal(await ask('/'), 'Sluice; fwd=uri-miss; stored');
  assert.equal(await ask('/port', { headers: { Host: 'a:1' } }), 'Sluice; fwd=uri-miss; stored');
  assert.equal(await ask('/port', { headers: { Host: 'A:2' } }), 'Sluice; fwd=uri-miss; stored');
  assert.match(String(await ask('/port', { headers: { Host: 'a:2' } })), /hit/);
  assert.equal(await ask('/guess', { headers: { Cookie: 'a=b' } }), 'Sluice; fwd=uri-miss');
  assert.equal(await ask('/guess'), 'Sluice; fwd=uri-miss; stored');
});

test('makes one request of many for the same thing', async (t) => {
  let answer: (() => void) | undefined;
  const setting = await setUp(t, (request, response) => {
    answer = () => fresh(request, response);
  });
  const all = Array.from({ length: 20 }, () => setting.get('/'));
  await until('one was asked', () => answer !== undefined);
  await until('all came', () => setting.gateway.dataPlane.connectionCount === 20);
  // What waits has been decided by now: each connection's request came with it.
  await new Promise((resolve) => setTimeout(resolve, 50));
  answer?.();
  for (const { body } of await Promise.all(all)) assert.equal(body, 'hello');
  assert.equal(setting.asked, 1);
});

test('lets all go at once when the answer can not be stored, and makes nobody wait after that', async (t) => {
  const waiting: http.ServerResponse[] = [];
  const setting = await setUp(t, (_request, response) => {
    response.setHeader('Cache-Control', 'no-store');
    waiting.push(response);
  });
  const first = [setting.get('/'), setting.get('/'), setting.get('/')];
  await until('one was asked', () => waiting.length === 1);
  await until('three came', () => setting.gateway.dataPlane.connectionCount === 3);
  await new Promise((resolve) => setTimeout(resolve, 50));
  waiting[0].end('own');
  await until('the others were asked together', () => waiting.length === 3);
  const later = [setting.get('/'), setting.get('/')];
  await until('nobody waits', () => waiting.length === 5);
  for (const response of waiting.slice(1)) response.end('own');
  await Promise.all([...first, ...later]);
});

test('waits for another no longer than configured', async (t) => {
  const waiting: http.ServerResponse[] = [];
  const setting = await setUp(t, (_request, response) => void waiting.push(response), {
    config: { collapse_timeout: 0.05 },
  });
  const both = [setting.get('/'), setting.get('/')];
  await until('the second went by itself', () => waiting.length === 2);
  for (const response of waiting) response.end('x');
  await Promise.all(both);
});

test('lets others go when the one they wait for fails', async (t) => {
  const waiting: http.ServerResponse[] = [];
  const setting = await setUp(t, (_request, response) => void waiting.push(response));
  const first = setting.get('/');
  await until('one was asked', () => waiting.length === 1);
  const second = setting.get('/');
  await until('two came', () => setting.gateway.dataPlane.connectionCount === 2);
  waiting[0].writeHead(500, { 'Content-Length': '0' }).end();
  assert.equal((await first).status, 500);
  await until('the other was asked', () => waiting.length === 2);
  fresh({} as http.IncomingMessage, waiting[1]);
  assert.equal((await second).body, 'hello');
});

test('serves what is too old while it fetches it anew', async (t) => {
  let version = 0;
  const setting = await setUp(t, (request, response) => {
    version++;
    assert.equal(request.headers['x-own'], '1', 'the same request as the client sent');
    response.setHeader('Cache-Control', 'max-age=0, stale-while-revalidate=60');
    response.setHeader('ETag', `"${version}"`);
    response.end(`version ${version}`);
  });
  const ask = () => setting.get('/', { headers: { 'X-Own': '1' } });
  await ask();
  const stale = await ask();
  assert.equal(stale.body, 'version 1');
  assert.match(String(stale.headers['cache-status']), /stale-while-revalidate/);
  await until('it was fetched', () => setting.asked === 2);
  await until('it is there', () => version === 2);
  let next = await ask();
  for (let tries = 0; next.body === 'version 1' && tries < 100; tries++) next = await ask();
  assert.notEqual(next.body, 'version 1');
});

test('tells the Upstream of the client also when it fetches anew, and what the client claims of itself no more than else', async (t) => {
  let version = 0;
  const setting = await setUp(t, (request, response) => {
    const told = Object.entries(request.headers).filter(([name]) =>
      /^x-(forwarded|real|consumer)/.test(name),
    );
    response.setHeader('Cache-Control', 'max-age=0, stale-while-revalidate=60');
    response.setHeader('X-Version', String(++version));
    response.setHeader('ETag', `"${version}"`);
    response.end(JSON.stringify(told.sort()));
  });
  const claims = {
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-For': '192.0.2.1',
    'X-Consumer-Username': 'root',
  };
  const first = await setting.get('/');
  assert.match(first.body, /x-forwarded-proto/);
  await setting.get('/', { headers: claims });
  let next = await setting.get('/');
  for (let tries = 0; next.headers['x-version'] === '1' && tries < 100; tries++)
    next = await setting.get('/');
  assert.notEqual(next.headers['x-version'], '1', 'it was fetched anew');
  assert.equal(next.body, first.body);
});

test('one that waited and left is waited for by nobody', async (t) => {
  const waiting: http.ServerResponse[] = [];
  const setting = await setUp(t, (_request, response) => void waiting.push(response), {
    config: { collapse_timeout: 12 },
  });
  const request = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${setting.gateway.port}\r\n\r\n`;
  const leaving = [];
  for (let count = 1; count <= 2; count++) {
    const client = await RawClient.connect(setting.gateway.port);
    client.write(request);
    leaving.push(client);
    await until('it came', () => setting.gateway.dataPlane.connectionCount === count && waiting.length === 1);
  }
  leaving[1].reset();
  await until('the one that waited is recorded', () => setting.gateway.records.length === 1);
  leaving[0].reset();
  await until('the one that was asked for is recorded', () => setting.gateway.records.length === 2);
  const later = setting.get('/');
  await until('it was asked for', () => waiting.length === 2);
  fresh({} as http.IncomingMessage, waiting[1]);
  assert.equal((await later).body, 'hello');
});

test('stands in for an Upstream that fails, unless it may not', async (t) => {
  let failing: 'no' | 'status' | 'silence' = 'no';
  const setting = await setUp(t, (request, response) => {
    if (failing === 'silence') return void request.socket.destroy();
    response.statusCode = failing === 'status' ? 503 : 200;
    response.setHeader(
      'Cache-Control',
      request.url === '/strict' ? 'no-cache' : 'max-age=1, stale-if-error=60',
    );
    response.setHeader('ETag', '"a"');
    response.end(failing === 'no' ? 'good' : 'bad');
  });
  for (const path of ['/', '/strict']) assert.equal((await setting.get(path)).body, 'good');
  const old = { headers: { 'Cache-Control': 'max-age=0' } };
  for (failing of ['status', 'silence'] as const) {
    const answer = await setting.get('/', old);
    assert.deepEqual([answer.status, answer.body], [200, 'good'], failing);
    assert.match(String(answer.headers['cache-status']), /stale-if-error/);
    assert.equal((await setting.get('/strict')).status, failing === 'status' ? 503 : 502);
  }
});

test('keeps the connection to the Upstream when it confirms', async (t) => {
  const ports = new Set<number | undefined>();
  const setting = await setUp(t, (request, response) => {
    ports.add(request.socket.remotePort);
    response.setHeader('Cache-Control', 'no-cache');
    response.setHeader('ETag', '"a"');
    response.statusCode = request.headers['if-none-match'] === '"a"' ? 304 : 200;
    response.end(response.statusCode === 200 ? 'hello' : undefined);
  });
  for (let times = 0; times < 4; times++) assert.equal((await setting.get('/')).body, 'hello');
  assert.equal(setting.asked, 4);
  assert.equal(ports.size, 1);
});

/** Encloses the body in the name of whom it is for. */
const enclosing = (name: string): BodyFilter => ({
  write: (bytes, next) => next.write(bytes),
  end(next) {
    next.write(Buffer.from(` for ${name}`));
    next.end();
  },
});

test('stores what the Upstream sent, not what other Plugins make of it for one client', async (t) => {
  const replacing = plugin(
    'replacing',
    {
      responseHeaders({ request, response }) {
        const name = request.header('x-name') ?? '';
        if (name.startsWith('r')) response.replaceBody(name);
        else response.filterBody(enclosing(name));
        response.setHeader('X-For', name);
      },
    },
    { priority: 2000 },
  );
  const collecting = plugin(
    'collecting',
    {
      responseBody(exchange) {
        if (exchange.request.header('x-name') === 'c') exchange.response.body = Buffer.from('c');
      },
    },
    { needsBody: () => 'response', priority: 900 },
  );
  for (const others of [[replacing], [replacing, collecting]]) {
    const setting = await setUp(t, fresh, { others });
    const ask = async (path: string, name: string) => {
      const answer = await setting.get(path, { headers: { 'X-Name': name } });
      return `${answer.body} ${answer.headers['x-for']}`;
    };
    for (const path of ['/r', '/f']) {
      const first = path === '/r' ? 'replaced' : 'jane';
      assert.equal(await ask(path, first), path === '/r' ? 'replaced replaced' : 'hello for jane jane');
      assert.equal(await ask(path, 'joe'), 'hello for joe joe');
      assert.equal(await ask(path, 'r2'), 'r2 r2');
    }
    assert.equal(setting.asked, 2);
  }
});

test('changes what it confirms as other Plugins would', async (t) => {
  const marking = plugin(
    'marking',
    { responseHeaders: ({ response }) => void response.setHeader('X-Own', 'gateway') },
    { priority: 4000 },
  );
  const setting = await setUp(
    t,
    (request, response) => {
      response.setHeader('Cache-Control', 'no-cache');
      response.setHeader('ETag', '"a"');
      response.setHeader('X-Own', 'upstream');
      response.statusCode = request.headers['if-none-match'] === undefined ? 200 : 304;
      response.end(response.statusCode === 200 ? 'hello' : undefined);
    },
    { others: [marking] },
  );
  for (let times = 0; times < 2; times++) {
    const answer = await setting.get('/');
    assert.deepEqual([answer.status, answer.headers['x-own']], [200, 'gateway']);
  }
});
