import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRequestId } from './request-id.ts';

test('makes ids of 32 hex digits, none of them twice', () => {
  const ids = new Set(Array.from({ length: 20_000 }, newRequestId));
  assert.equal(ids.size, 20_000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});
