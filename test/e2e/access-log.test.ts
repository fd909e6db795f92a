import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { startWithFile } from '../support/config-file.ts';
import { startEcho } from '../support/echo-upstream.ts';
import { eventually } from '../support/eventually.ts';
import { call, inParallel } from '../support/http-call.ts';
import { jsonLines, type SluiceProcess, temporaryFolder } from '../support/process.ts';
import { rawCall } from '../support/raw-call.ts';

function configuration(upstream: string): string {
  const nodes = `upstream: { nodes: { '${upstream}': 1 } }`;
  return `
upstreams:
  - { id: echo, nodes: { '${upstream}': 1 } }
services:
  - { id: orders, name: orders-service, upstream_id: echo }
routes:
  - { id: plain, name: plain-name, uri: /plain, service_id: orders }
  - { id: status, uri: /status/*, ${nodes} }
  - { id: closed, uri: /closed, plugins: { key-auth: {} }, ${nodes} }
  - { id: limited, uri: /limited, plugins: { limit-count: { count: 1, time_window: 600, rejected_code: 429 } }, ${nodes} }
  - { id: delay, uri: /delay/*, ${nodes} }
  - { id: impatient, uri: /delay/5000/impatient, timeout: { connect: 1, send: 1, read: 0.2 }, ${nodes} }
  - { id: dead, uri: /dead, upstream: { nodes: { '127.0.0.1:1': 1 } } }
  - { id: empty, uri: /empty, upstream: { nodes: {} } }
  - { id: none, uri: /none, plugins: { cors: {} } }
consumers:
  - { username: jack, plugins: { key-auth: { key: jack-key } } }
`;
}

/** Requests counted by the metrics, over all workers. */
async function countedRequests(sluice: SluiceProcess): Promise<number> {
  const { body } = await call(sluice.metrics);
  return Number(/^apisix_http_requests_total (\d+)$/m.exec(body)?.[1]);
}

// biome-ignore lint/suspicious/noExplicitAny: lines of any shape
async function logLine(sluice: SluiceProcess, uri: string): Promise<any> {
  return eventually(`a line for ${uri}`, () => sluice.accessLog.find((line) => line.uri === uri)).catch(
    () => {
      throw new Error(`no line for ${uri}: ${sluice.stdout}`);
    },
  );
}

test('every end of a request is one line that says how it ended', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(t, configuration(upstream.address), { workers: 2 });
  const address = upstream.address;
  const from = { source: 'upstream', reason: '', attempts: 1, upstream_target: address };
  const own = { source: 'gateway', attempts: 0, upstream_status: null, upstream_target: '' };
  const cases: readonly (readonly [target: string, wanted: object, headers?: Record<string, string>])[] = [
    [
      '/plain',
      {
        ...from,
        status: 200,
        route_id: 'plain',
        route_name: 'plain-name',
        service_id: 'orders',
        service_name: 'orders-service',
        upstream_id: 'echo',
        upstream_status: 200,
      },
    ],
    ['/status/503', { ...from, status: 503, route_id: 'status', upstream_status: 503 }],
    ['/nowhere', { ...own, status: 404, route_id: '', reason: 'no_route' }],
    ['/closed', { ...own, status: 401, route_id: 'closed', consumer: '' }],
    [
      '/closed?with=key',
      { ...from, status: 200, route_id: 'closed', consumer: 'jack' },
      { apikey: 'jack-key' },
    ],
    ['/limited?1', { ...from, status: 200, route_id: 'limited' }],
    ['/limited?2', { ...own, status: 429, route_id: 'limited' }],
    [
      '/dead',
      { source: 'gateway', status: 502, route_id: 'dead', attempts: 1, upstream_target: '127.0.0.1:1' },
    ],
    [
      '/delay/5000/impatient',
      { source: 'gateway', status: 504, route_id: 'impatient', upstream_target: address },
    ],
    ['/empty', { ...own, status: 503, route_id: 'empty' }],
    ['/none', { ...own, status: 503, route_id: 'none', reason: 'no_upstream' }],
  ];
  for (const [target, wanted, headers] of cases) {
    const answer = await sluice.call(target, { headers });
    const line = await logLine(sluice, target);
    assert.equal(answer.status, line.status, target);
    const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, line[name]]));
    assert.deepEqual(found, wanted, target);
    assert.equal(line.revision, 1);
    assert.match(line.request_id, /^[0-9a-f]{32}$/);
    assert.ok(line.duration_ms >= 0 && line.bytes_out >= answer.body.length, JSON.stringify(line));
    if (line.source === 'gateway') assert.notEqual(line.reason, '', `${target} has a reason`);
  }

  const refused = await rawCall(sluice.port, 'GET /parse HTTP/1.1\r\nHost: a\r\nBad Field: 1\r\n\r\n');
  assert.equal(refused.status, 400);
  const refusal = await eventually('a line for the refusal', () =>
    sluice.accessLog.find(({ status }) => status === 400),
  );
  assert.deepEqual([refusal.source, refusal.route_id], ['gateway', '']);
  assert.notEqual(refusal.reason, '');

  const socket = net.connect(sluice.port, '127.0.0.1');
  socket.write('GET /delay/3000/abort HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually('the request is under way', () =>
    upstream.requests.some(({ url }) => url.endsWith('abort')),
  );
  socket.destroy();
  const aborted = await logLine(sluice, '/delay/3000/abort');
  assert.deepEqual([aborted.status, aborted.route_id], [499, 'delay']);

  const total = cases.length + 2;
  await eventually('the metrics count the same', async () => (await countedRequests(sluice)) === total);
  assert.equal(sluice.accessLog.length, total, sluice.stdout);
});

test('secrets in the query stay out of the log', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(
    t,
    `access_log: { redact: [pin] }\n${configuration(upstream.address)}`,
  );
  await sluice.call('/closed?apikey=jack-key&access_token=abc&pin=4711&q=kept');
  const line = await eventually('a line', () => sluice.accessLog[0]);
  assert.equal(line.status, 200);
  assert.match(line.uri, /^\/closed\?apikey=.*q=kept$/);
  for (const secret of ['jack-key', 'abc', '4711']) assert.ok(!sluice.stdout.includes(secret), line.uri);
});

test('a reader of stdout that stalls delays no request', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(t, configuration(upstream.address));
  sluice.child.stdout!.pause();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  t.after(() => agent.destroy());
  const requests = 3000;
  const answers = await inParallel(requests, 20, () => sluice.call(`/nowhere/${'x'.repeat(300)}`, { agent }));
  assert.ok(answers.every(({ status }) => status === 404));
  await eventually('all are counted', async () => (await countedRequests(sluice)) === requests);
  sluice.child.stdout!.resume();
  const dropped = async () =>
    Number(
      /^sluice_access_log_lines_dropped_total (\d+)$/m.exec((await call(sluice.metrics)).body)?.[1] ?? 0,
    );
  await eventually(
    'each line is written, or counted as dropped',
    async () => sluice.accessLog.length + (await dropped()) === requests,
  );
});

test('a log file is opened anew on SIGHUP', async (t) => {
  const upstream = await startEcho(t);
  const file = path.join(temporaryFolder(t), 'access.log');
  const { sluice } = await startWithFile(t, configuration(upstream.address), { accessLog: file });
  const uris = (name: string) =>
    existsSync(name) ? jsonLines(readFileSync(name, 'utf8')).map(({ uri }) => uri) : [];
  await sluice.call('/plain?before');
  await eventually('the line is there', () => uris(file).includes('/plain?before'));
  renameSync(file, `${file}.1`);
  sluice.signal('SIGHUP');
  await eventually('there is a new file', () => existsSync(file));
  await sluice.call('/plain?after');
  await eventually('the new line is there', () => uris(file).includes('/plain?after'));
  assert.deepEqual(uris(`${file}.1`), ['/plain?before']);
  assert.equal(sluice.stdout, '');
});

test('the last lines are written when the process is stopped', async (t) => {
  const upstream = await startEcho(t);
  const { sluice } = await startWithFile(t, configuration(upstream.address));
  await inParallel(50, 10, (index) => sluice.call(`/plain?${index}`));
  sluice.signal('SIGTERM');
  assert.equal((await sluice.exited).code, 0);
  assert.equal(sluice.accessLog.length, 50);
});
