import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind } from '../../plugin/testing.ts';
import { prometheus } from './prometheus.ts';

test('asks the telemetry to count', () => {
  const observe = prometheus.observe as (config: { prefer_name: boolean }) => unknown;
  assert.deepEqual(observe({ prefer_name: false }), { metrics: true, preferName: false });
  assert.deepEqual(observe({ prefer_name: true }), { metrics: true, preferName: true });
});

test('costs a request nothing', () => {
  assert.deepEqual(bind(prometheus).handlers, {});
});
