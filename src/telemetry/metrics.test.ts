import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeEnd } from '../model/exchange-end.fixture.ts';
import type { ExchangeEnd } from '../model/exchange-end.ts';
import { RecordReader } from '../state/memory/record-reader.ts';
import { createRecordRing, RecordRing } from '../state/memory/record-ring.ts';
import { Metrics } from './metrics.ts';
import { telemetryWords } from './words.ts';

function counting(maxSeries?: number) {
  const metrics = new Metrics(maxSeries);
  const memory = createRecordRing();
  const ring = new RecordRing(memory);
  const reader = new RecordReader(memory, telemetryWords);
  return {
    metrics,
    count(fields: Partial<ExchangeEnd> = {}) {
      ring.write(exchangeEnd({}, fields));
      reader.read(1, (record) => metrics.record(record));
    },
  };
}

/** Status lines as `labels code` → count. */
function statusLines(metrics: Metrics): Record<string, number> {
  const lines: Record<string, number> = {};
  for (const { labels, codes } of metrics.statuses.values()) {
    for (const [code, count] of codes) lines[`${code}${labels}`] = count;
  }
  return lines;
}

const ORDERS =
  ',route="orders",matched_uri="/orders/*",matched_host="orders.example.com",service="shop",consumer="acme",node="10.0.0.17"';

test('counts by status under the ids of the configuration, or the names where wanted', () => {
  const { metrics, count } = counting();
  count();
  count();
  count({ status: 404 });
  count({ preferName: true });
  count({ preferName: true, routeName: '', serviceName: '' });
  const named = ORDERS.replace('"orders"', '"Orders"').replace('"shop"', '"Shop"');
  assert.deepEqual(statusLines(metrics), { [`200${ORDERS}`]: 3, [`404${ORDERS}`]: 1, [`200${named}`]: 1 });
  assert.equal(metrics.requests, 5);
});

test('counts an Exchange without metrics in the total alone', () => {
  const { metrics, count } = counting();
  count({ metrics: false });
  assert.equal(metrics.requests, 1);
  assert.equal(metrics.statuses.size + metrics.traffics.size, 0);
});

test('tells Consumers and Targets apart, in any order', () => {
  const { metrics, count } = counting();
  for (let index = 0; index < 60; index++) {
    count({ consumer: `c${index % 3}`, target: index % 2 === 0 ? '10.0.0.1:80' : '[::1]:80' });
  }
  const lines = statusLines(metrics);
  assert.equal(Object.keys(lines).length, 6);
  assert.deepEqual(new Set(Object.values(lines)), new Set([10]));
  assert.ok(Object.keys(lines).some((line) => line.endsWith('consumer="c1",node="::1"')));
});

test('puts times into buckets and sums them', () => {
  const { metrics, count } = counting();
  count({ durationMs: 1, upstreamMs: 0.25 });
  count({ durationMs: 1.5, upstreamMs: 1.5 });
  count({ durationMs: 70_000, upstreamMs: -1 });
  const [{ latency, ingressBytes, egressBytes }] = metrics.traffics.values();
  const [request, upstream, apisix] = latency;
  const filled = (counts: Float64Array) => [...counts.entries()].filter(([, value]) => value > 0);
  assert.deepEqual(filled(request.counts), [
    [0, 1],
    [1, 1],
    [15, 1],
  ]);
  assert.equal(request.sum, 70_002.5);
  assert.deepEqual(filled(upstream.counts), [
    [0, 1],
    [1, 1],
  ]);
  assert.equal(upstream.sum, 1.75);
  assert.deepEqual(filled(apisix.counts), [
    [0, 2],
    [15, 1],
  ]);
  assert.equal(apisix.sum, 70_000.75);
  assert.deepEqual([ingressBytes, egressBytes], [360, 3561]);
});

test('counts what is beyond the cap as other, so that sums stay right', () => {
  const { metrics, count } = counting(3);
  for (let index = 0; index < 100; index++) count({ routeId: `r${index % 10}`, status: 200 + (index % 2) });
  assert.equal(metrics.statuses.size, 4);
  assert.equal(metrics.traffics.size, 4);
  const lines = statusLines(metrics);
  assert.equal(
    Object.values(lines).reduce((sum, value) => sum + value),
    100,
  );
  const other = Object.entries(lines).filter(([line]) => line.includes('route="other"'));
  assert.equal(
    other.reduce((sum, [, value]) => sum + value, 0),
    70,
  );
  assert.equal(metrics.overflowed, 70);
});

test('bounds the codes that Upstreams may think of', () => {
  const { metrics, count } = counting(2);
  for (let index = 0; index < 600; index++) count({ status: 100 + index });
  const lines = statusLines(metrics);
  assert.equal(
    Object.values(lines).reduce((sum, value) => sum + value),
    600,
  );
  assert.ok(metrics.statuses.size === 2);
});

test('forgets label sets that nothing is counted in when room is needed, and only then', () => {
  const { metrics, count } = counting(3);
  for (const routeId of ['a', 'b', 'c']) count({ routeId });
  metrics.tick(599_000);
  count({ routeId: 'a' });
  metrics.tick(601_000);
  assert.equal(metrics.statuses.size, 3);
  count({ routeId: 'd' });
  count({ routeId: 'a' });
  const routes = [...metrics.statuses.values()].map(({ labels }) => /route="(\w+)"/.exec(String(labels))![1]);
  assert.deepEqual(routes, ['a', 'd']);
  count({ routeId: 'b' });
  assert.equal(Object.entries(statusLines(metrics)).find(([line]) => line.includes('"b"'))![1], 1);
  assert.equal(metrics.overflowed, 0);
});

test('gives a Route labels of its own as soon as there is room', () => {
  const { metrics, count } = counting(1);
  count({ routeId: 'a' });
  count({ routeId: 'b' });
  metrics.tick(700_000);
  count({ routeId: 'b' });
  const lines = Object.entries(statusLines(metrics)).map(([line, value]) => [
    /route="(\w+)"/.exec(line)![1],
    value,
  ]);
  assert.deepEqual(lines, [
    ['other', 1],
    ['b', 1],
  ]);
});

test('counts dropped records by status', () => {
  const { metrics } = counting();
  metrics.dropped(503, 7, 5);
  metrics.dropped(404, 2, 0);
  assert.equal(metrics.requests, 9);
  const lines = statusLines(metrics);
  assert.equal(Object.keys(lines).length, 1);
  assert.match(Object.keys(lines)[0], /^503,route="other"/);
  assert.equal(Object.values(lines)[0], 5);
});
