import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeEnd } from '../model/exchange-end.fixture.ts';
import type { ExchangeEnd } from '../model/exchange-end.ts';
import { RecordReader } from '../state/memory/record-reader.ts';
import { createRecordRing, RecordRing } from '../state/memory/record-ring.ts';
import { type ParsedMetric, parseExposition } from './exposition-parser.fixture.ts';
import type { Figures } from './figures.ts';
import { Metrics } from './metrics.ts';
import { exposition } from './prometheus.ts';
import { telemetryWords } from './words.ts';

const FIGURES: Figures = {
  hostname: 'edge-1',
  version: '0.1.0',
  connections: { active: 3, accepted: 10, handled: 10, reading: 0, writing: 1, waiting: 2 },
  upstreamStatus: [],
  circuits: [],
  sharedMemory: [{ name: 'counters', capacityBytes: 1000, freeBytes: 400 }],
  evictions: { counters: 5 },
  redis: { ready: 2, down: 1 },
  revisions: new Map([
    [0, 17],
    [1, 16],
  ]),
  handshakes: new Map([[1, { full: 5, resumed: 7, failed: 2 }]]),
  certificates: [{ ssl: '1', sni: 'a.example', notAfter: 1_800_000_000 }],
  droppedRecords: new Map([[0, 4]]),
  brokenRecords: 0,
  workerRestarts: 1,
  logLines: 100,
  droppedLogLines: 2,
  gauges: [
    { name: 'sluice_canary_share', key: 'old', route: 'orders', value: 5 },
    { name: 'sluice_canary_share', key: 'new', route: 'orders', value: 25 },
    { name: 'sluice_canary_share', key: 'other', route: 'films', value: 100 },
  ],
};

function countAll(ends: Iterable<Partial<ExchangeEnd>>, maxSeries?: number): Metrics {
  const metrics = new Metrics(maxSeries);
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, telemetryWords);
  for (const fields of ends) {
    ring.write(exchangeEnd({}, fields));
    reader.read(1, (record) => metrics.record(record));
  }
  return metrics;
}

function scrape(metrics: Metrics, figures = FIGURES): Map<string, ParsedMetric> {
  return parseExposition(Buffer.concat([...exposition(metrics, figures, { prefix: 'apisix_' })]).toString());
}

/** The value of the one sample that has these labels among its own. */
function value(
  scraped: Map<string, ParsedMetric>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const family = scraped.get(name) ?? scraped.get(name.replace(/_(bucket|sum|count)$/, ''));
  const found = family?.samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  );
  assert.ok(found === undefined || found.length <= 1, `one sample of ${name}`);
  return found?.[0]?.value;
}

test('shows Exchanges under the names of APISIX', () => {
  const scraped = scrape(
    countAll([{}, {}, { status: 502, durationMs: 12, upstreamMs: -1, bytesIn: 7, bytesOut: 9 }]),
  );
  const labels = { route: 'orders', service: 'shop', consumer: 'acme', node: '10.0.0.17' };
  const matched = { matched_uri: '/orders/*', matched_host: 'orders.example.com' };
  assert.equal(value(scraped, 'apisix_http_status', { code: '200', ...labels, ...matched }), 2);
  assert.equal(value(scraped, 'apisix_http_status', { code: '502', ...labels, ...matched }), 1);
  assert.equal(value(scraped, 'apisix_http_requests_total'), 3);
  const request = { type: 'request', ...labels };
  assert.equal(value(scraped, 'apisix_http_latency_bucket', { ...request, le: '5' }), 2);
  assert.equal(value(scraped, 'apisix_http_latency_bucket', { ...request, le: '20' }), 3);
  assert.equal(value(scraped, 'apisix_http_latency_bucket', { ...request, le: '+Inf' }), 3);
  assert.equal(value(scraped, 'apisix_http_latency_sum', request), 3.217 * 2 + 12);
  assert.equal(value(scraped, 'apisix_http_latency_count', { type: 'upstream' }), 2);
  assert.equal(value(scraped, 'apisix_http_latency_count', { type: 'apisix' }), 3);
  assert.equal(value(scraped, 'apisix_bandwidth', { type: 'ingress', ...labels }), 247);
  assert.equal(value(scraped, 'apisix_bandwidth', { type: 'egress', ...labels }), 2383);
  assert.deepEqual(Object.keys(scraped.get('apisix_http_status')!.samples[0].labels), [
    'code',
    'route',
    'matched_uri',
    'matched_host',
    'service',
    'consumer',
    'node',
  ]);
});

test('shows the state of the gateway', () => {
  const scraped = scrape(countAll([]));
  assert.equal(value(scraped, 'apisix_nginx_http_current_connections', { state: 'waiting' }), 2);
  assert.equal(value(scraped, 'apisix_node_info', { hostname: 'edge-1', version: '0.1.0' }), 1);
  assert.equal(value(scraped, 'apisix_shared_dict_capacity_bytes', { name: 'counters' }), 1000);
  assert.equal(value(scraped, 'apisix_shared_dict_free_space_bytes', { name: 'counters' }), 400);
  assert.equal(value(scraped, 'sluice_config_revision', { worker: '1' }), 16);
  assert.equal(value(scraped, 'sluice_records_dropped_total', { worker: '0' }), 4);
  assert.equal(value(scraped, 'sluice_worker_restarts_total'), 1);
  assert.equal(value(scraped, 'sluice_access_log_lines_dropped_total'), 2);
  assert.equal(value(scraped, 'sluice_tls_handshakes_total', { worker: '1', result: 'resumed' }), 7);
  assert.equal(
    value(scraped, 'sluice_certificate_not_after_seconds', { ssl: '1', sni: 'a.example' }),
    1_800_000_000,
  );
  assert.equal(value(scraped, 'sluice_evictions_total', { state: 'counters' }), 5);
  assert.equal(value(scraped, 'sluice_redis_connections', { state: 'ready' }), 2);
  assert.equal(value(scraped, 'sluice_redis_connections', { state: 'down' }), 1);
  assert.equal(value(scraped, 'sluice_canary_share', { route: 'orders' }), 25);
  assert.equal(value(scraped, 'sluice_canary_share', { route: 'films' }), 100);
  assert.ok(value(scraped, 'process_resident_memory_bytes')! > 1e6);
});

test('escapes and cuts label values', () => {
  const routeId = 'a"b\\c\nd{e="f"} 1';
  const scraped = scrape(countAll([{ routeId }, { routeId: 'ü€😀', consumer: 'x'.repeat(900) }]));
  const labels = scraped.get('apisix_http_status')!.samples.map((sample) => sample.labels);
  assert.equal(labels[0].route, routeId);
  assert.equal(labels[1].route, 'ü€😀');
  assert.equal(labels[1].consumer, 'x'.repeat(256));
});

test('shows many Routes in pieces, none lost and none twice', () => {
  function* ends() {
    for (let index = 0; index < 6000; index++)
      yield { routeId: `route-${index % 2000}`, status: 200 + (index % 3) };
  }
  const metrics = countAll(ends());
  const pieces = [...exposition(metrics, FIGURES, { prefix: 'apisix_' })];
  assert.ok(pieces.length > 10);
  const scraped = parseExposition(Buffer.concat(pieces).toString());
  const sum = (name: string) => scraped.get(name)!.samples.reduce((total, sample) => total + sample.value, 0);
  assert.equal(sum('apisix_http_status'), 6000);
  assert.equal(sum('apisix_bandwidth'), 6000 * (120 + 1187));
});

test('has room for the longest labels', () => {
  const routeIds = Array.from({ length: 40 }, (_, index) => `${index}-${'語'.repeat(330)}`);
  const long = '語'.repeat(330);
  const scraped = scrape(
    countAll(
      routeIds.map((routeId) => ({
        routeId,
        serviceId: long,
        consumer: long,
        target: long,
        durationMs: 0.5,
      })),
    ),
  );
  assert.equal(scraped.get('apisix_http_status')!.samples.length, 40);
  assert.equal(
    value(scraped, 'apisix_http_latency_count', { type: 'request', route: routeIds[7].slice(0, 256) }),
    1,
  );
});

test('takes another prefix', () => {
  const text = Buffer.concat([...exposition(countAll([{}]), FIGURES, { prefix: 'edge_' })]).toString();
  const names = [...parseExposition(text).keys()];
  assert.ok(names.includes('edge_http_status'));
  assert.ok(!names.some((name) => name.startsWith('apisix_')));
});
