import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDefaults } from '../../lib/json-schema.ts';
import { proxyControl } from './proxy-control.ts';

// What comes of it on the wire: test/conformance/request-bodies.test.ts
test('needs the whole body unless it is told not to', () => {
  const needs = (config: object) =>
    proxyControl.needsBody?.(withDefaults(proxyControl.config, config) as never);
  assert.equal(needs({}), 'request');
  assert.equal(needs({ request_buffering: true }), 'request');
  assert.equal(needs({ request_buffering: false }), undefined);
});
