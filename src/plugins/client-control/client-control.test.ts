import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkConfig, run } from '../../plugin/testing.ts';
import { clientControl } from './client-control.ts';

test('refuses a body that is larger, and lets one of just that size through', async () => {
  const config = { max_body_size: 4 };
  const { reply } = await run(clientControl, config, { body: '12345' });
  assert.deepEqual([reply?.status, reply?.body, reply?.reason], [413, undefined, 'body_too_large']);
  assert.equal((await run(clientControl, config, { body: '1234' })).reply, undefined);
});

test('limits nothing with 0, or where nothing is said', async () => {
  for (const config of [{}, { max_body_size: 0 }]) {
    assert.equal((await run(clientControl, config, { body: '12345' })).reply, undefined);
  }
});

test('refuses a size that is none', () => {
  assert.match(checkConfig(clientControl, { max_body_size: -1 }) ?? '', /max_body_size/);
});
