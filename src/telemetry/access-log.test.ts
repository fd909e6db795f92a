import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { type ExchangeEndText, exchangeEnd } from '../model/exchange-end.fixture.ts';
import type { ExchangeEnd } from '../model/exchange-end.ts';
import { RecordReader } from '../state/memory/record-reader.ts';
import { createRecordRing, RecordRing } from '../state/memory/record-ring.ts';
import { AccessLog } from './access-log.ts';
import { LineSink } from './line-sink.ts';
import { telemetryWords } from './words.ts';

const folder = await mkdtemp(join(tmpdir(), 'access-log-'));
after(() => rm(folder, { recursive: true }));
let files = 0;

/** The lines for some Exchanges, as text. */
async function log(
  ends: readonly ExchangeEnd[],
  use: (log: AccessLog) => void = () => {},
): Promise<string[]> {
  const file = join(folder, `${files++}.log`);
  const sink = await LineSink.open({
    destination: { file },
    capBytes: 1 << 20,
    onTrouble: (message) => assert.fail(message),
  });
  const accessLog = new AccessLog(sink);
  use(accessLog);
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, telemetryWords);
  for (const end of ends) {
    ring.write(end);
    reader.read(1, (record) => accessLog.write(record));
  }
  await sink.close(2000);
  assert.equal(sink.dropped, 0);
  const text = await readFile(file, 'latin1');
  assert.match(text, /^[\n -~]*$/, 'nothing but printable ASCII');
  const lines = text.split('\n');
  assert.equal(lines.pop(), '');
  return lines;
}

async function logOne(text?: ExchangeEndText, fields?: Partial<ExchangeEnd>) {
  const lines = await log([exchangeEnd(text, fields)]);
  assert.equal(lines.length, 1);
  return JSON.parse(lines[0]);
}

test('writes one line of JSON with all that is known', async () => {
  assert.deepEqual(await logOne(), {
    time: '2026-05-28T20:26:40.123Z',
    request_id: '0123456789abcdef0123456789abcdef',
    client: '192.0.2.17',
    method: 'GET',
    uri: '/orders/7?page=2',
    host: 'orders.example.com',
    http_version: '1.1',
    scheme: 'http',
    status: 200,
    source: 'upstream',
    reason: '',
    upstream_status: 200,
    upstream_target: '10.0.0.17:8080',
    attempts: 1,
    route_id: 'orders',
    route_name: 'Orders',
    service_id: 'shop',
    service_name: 'Shop',
    upstream_id: 'shop-upstream',
    consumer: 'acme',
    bytes_in: 120,
    bytes_out: 1187,
    duration_ms: 3.217,
    upstream_ms: 2.5,
    user_agent: 'curl/8.5.0',
    revision: 17,
  });
});

test('writes a request refused at parsing', async () => {
  const line = await logOne(
    { method: '', target: '', host: '', userAgent: '' },
    {
      status: 400,
      source: 'gateway',
      reason: 'bad_request',
      requestId: '',
      routeId: '',
      consumer: '',
      target: '',
      attempts: 0,
      upstreamStatus: 0,
      upstreamMs: -1,
      scheme: 'https',
      httpVersion: '1.0',
    },
  );
  assert.deepEqual(
    [line.status, line.source, line.reason, line.uri, line.request_id, line.consumer, line.scheme],
    [400, 'gateway', 'bad_request', '', '', '', 'https'],
  );
  assert.deepEqual([line.upstream_status, line.upstream_ms, line.http_version], [null, null, '1.0']);
});

test('a client cannot forge a line, a field or a terminal command', async () => {
  const evil = '"}\n{"time":"forged"}\r\n\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\0\\" é';
  const lines = await log([
    exchangeEnd(
      { method: evil, target: `/${evil}?q=${evil}`, host: evil, userAgent: evil },
      { clientAddress: evil },
    ),
  ]);
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0]);
  const seen = evil;
  assert.equal(line.user_agent, seen);
  assert.equal(line.host, seen);
  assert.equal(line.client, seen);
  assert.equal(line.uri, `/${seen}?q=${seen}`);
  assert.equal(line.status, 200);
});

test('any request is one line that JSON reads, however long its parts', async () => {
  const latin1 = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 3000,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(latin1, latin1, fc.string({ unit: 'binary' }), async (target, userAgent, routeName) => {
      const line = await logOne({ target, userAgent }, { routeName });
      assert.equal(line.user_agent, userAgent.slice(0, 512));
      assert.equal(line.route_name, Buffer.from(routeName).toString());
      assert.deepEqual(
        line.cut,
        target.length > 2048 || userAgent.length > 512
          ? [...(target.length > 2048 ? ['uri'] : []), ...(userAgent.length > 512 ? ['user_agent'] : [])]
          : undefined,
      );
    }),
    { numRuns: 30 },
  );
});

test('keeps secrets of the query out, also those named later', async () => {
  const lines = await log(
    [exchangeEnd({ target: '/a?token=s3cret' }), exchangeEnd({ target: '/a?k=s3cret' })],
    (accessLog) => accessLog.redact(['token', 'k']),
  );
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).uri),
    ['/a?token=***', '/a?k=***'],
  );
});

test('writes the time of every millisecond', async () => {
  const times = [0, 999, 1000, 1_780_000_000_007.9, 1_780_000_000_999, 1_780_000_001_000, 1_780_000_000_010];
  const lines = await log(times.map((startedAt) => exchangeEnd({}, { startedAt })));
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).time),
    times.map((time) => new Date(time).toISOString()),
  );
});
