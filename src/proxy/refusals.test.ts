import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from '../plugin/kit.ts';
import { Refusals } from './refusals.ts';

test('a flood of refusals makes two lines a second for each reason, with the number', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: unknown[] = [];
  const log = { warn: (message: string, fields: object) => lines.push({ message, ...fields }) };
  const refusals = new Refusals(log as unknown as Logger);
  for (let i = 0; i < 1000; i++) refusals.add('max_connections', `10.0.0.${i % 10}`);
  refusals.add('proxy_protocol_bad', '10.1.1.1');
  const message = 'connection refused';
  const begun = [
    { message, reason: 'max_connections', count: 1, client: '10.0.0.0' },
    { message, reason: 'proxy_protocol_bad', count: 1, client: '10.1.1.1' },
  ];
  assert.deepEqual(lines, begun);
  t.mock.timers.tick(1000);
  assert.deepEqual(lines, [...begun, { message, reason: 'max_connections', count: 999, client: '10.0.0.9' }]);
  refusals.add('max_connections', '10.0.0.1');
  assert.equal(lines.length, 4);
});
